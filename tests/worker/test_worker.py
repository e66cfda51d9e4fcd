"""Invocations: each is answered exactly once, whatever it does and whatever happens to it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from collections import Counter
from contextvars import ContextVar

import pytest
from support.invoking import DEADLINE, thread_kind

from worker_ext.context import Context
from worker_ext.invocation import Invocation

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


def of_kind(kind, function):
    async def main(req, context):
        await asyncio.sleep(0)
        return function(req, context)

    return function if kind == "sync" else main


async def worker_start(worker, function, answers):
    answers.append(await worker.start(function))


class TestAnswers:
    def test_a_thousand_at_a_time_are_answered_once_each(self, worker, trace):
        trace.app_extension("App")

        def fail(req, context):
            if req % 3 == 0:
                raise SystemExit(req)
            return req

        functions = [worker.load(of_kind(kind, fail), kind) for kind in ("sync", "async")]

        async def call_all():
            return await asyncio.gather(*(worker.start(functions[i % 2], i) for i in range(1000)))

        answers = worker.run(call_all())
        assert [answer.error.code if answer.error else answer.value for answer in answers] == list(range(1000))
        assert Counter(worker.answers) == dict.fromkeys(map(str, range(1, 1001)), 1)
        names = Counter(trace.names)
        assert (names["App.pre"], names["App.post"]) == (1000, 1000 - 334)

    def test_a_sync_function_that_blocks_holds_up_nobody(self, worker):
        released = threading.Event()

        def block(req, context):
            assert released.wait(DEADLINE)
            return "released"

        async def release(req, context):
            released.set()

        blocking, releasing = worker.load(block, "block"), worker.load(release, "release")
        other = worker.load(lambda req, context: "other")

        async def call_all():
            blocked = worker.start(blocking)
            assert (await worker.start(other)).value == "other"
            await worker.start(releasing)
            return await blocked

        assert worker.run(call_all()).value == "released"

    def test_more_sync_functions_than_threads_are_all_run(self, make_worker):
        worker = make_worker(environ={"PYTHON_THREADPOOL_THREAD_COUNT": "2"})
        function = worker.load(lambda req, context: threading.current_thread().name)

        async def call_all():
            return await asyncio.gather(*(worker.start(function) for _ in range(50)))

        assert {answer.value for answer in worker.run(call_all())} <= {"function-1", "function-2"}
        assert len(worker.answers) == 50

    def test_two_of_the_same_id(self, worker):
        function = worker.load(of_kind("async", lambda req, context: req))

        async def call_both():
            return await asyncio.gather(worker.start(function, 1, id="same"), worker.start(function, 2, id="same"))

        assert [answer.value for answer in worker.run(call_both())] == [1, 2]

    def test_no_thread_can_be_started(self, worker, monkeypatch):
        function = worker.load(lambda req, context: None)

        def refuse(self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            assert "no thread" in str(worker.invoke(function).error)
        assert worker.invoke(function).error is None

    def test_a_task_that_user_code_started_may_end_the_loop(self, worker):
        """SystemExit leaves such a task by way of the loop; whoever runs that must start it again."""

        async def main(req, context):
            async def leave():
                sys.exit(4)

            await asyncio.get_running_loop().create_task(leave())

        function, answers = worker.load(main), []
        start = worker.loop.create_task(worker_start(worker, function, answers))
        with pytest.raises(SystemExit):
            worker.loop.run_forever()
        worker.loop.run_until_complete(start)
        assert isinstance(answers[0].error, SystemExit)

    @kinds
    def test_context_variables_do_not_outlive_their_invocation(self, worker, kind):
        variable = ContextVar("variable", default=0)

        def main(req, context):
            variable.set(variable.get() + 1)
            return variable.get()

        function = worker.load(of_kind(kind, main))
        assert [worker.invoke(function).value for _ in range(3)] == [1, 1, 1]

    @kinds
    def test_the_one_who_is_told_may_fail(self, make_worker, kind):
        """A runtime that cannot send an answer must not cost the worker its thread, nor its end."""
        worker = make_worker(environ={"PYTHON_THREADPOOL_THREAD_COUNT": "1"})
        function = worker.load(of_kind(kind, lambda req, context: None))
        worker.loop.set_exception_handler(lambda loop, details: None)

        async def call():
            future = worker.start(function)
            future.cancel()
            worker.loop.call_soon_threadsafe = broken
            while not worker.answers:
                await asyncio.sleep(0)
            del worker.loop.call_soon_threadsafe
            await worker.worker.drain()

        def broken(*args, **kwargs):
            raise RuntimeError("cannot be told")

        worker.run(call())
        assert worker.invoke(function).error is None


class TestCancellation:
    @pytest.fixture
    def waiting(self, worker):
        """An async function that waits for ever, and how many have begun to."""
        begun = []

        async def main(req, context):
            begun.append(req)
            await asyncio.Event().wait()

        return worker.load(main), begun

    def test_of_a_function_that_waits(self, worker, waiting):
        function, begun = waiting

        async def call():
            answered = worker.start(function, id="1")
            while not begun:
                await asyncio.sleep(0)
            worker.worker.cancel("1")
            return await answered

        assert isinstance(worker.run(call()).error, asyncio.CancelledError)

    def test_before_the_first_step(self, worker, waiting):
        function, _ = waiting

        async def call():
            answered = worker.start(function, id="1")
            worker.worker.cancel("1")
            return await answered

        assert isinstance(worker.run(call()).error, asyncio.CancelledError)

    def test_by_user_code_that_cancels_every_task(self, worker, waiting):
        function, _ = waiting

        async def call():
            before = asyncio.all_tasks()
            running = worker.start(function)
            await asyncio.sleep(0)
            not_begun = worker.start(function)
            others = asyncio.all_tasks() - before
            assert len(others) == 2
            for task in others:
                task.cancel("all of you")
            return await asyncio.gather(running, not_begun)

        answers = worker.run(call())
        assert [repr(answer.error) for answer in answers] == ["CancelledError('all of you')"] * 2

    def test_when_the_loop_is_closed(self, worker, waiting):
        function, _ = waiting

        async def start():
            worker.start(function)
            await asyncio.sleep(0)
            worker.start(function)

        worker.run(start())
        worker.runner.close()
        assert sorted(worker.answers) == ["1", "2"]

    def test_a_sync_function_cannot_be_interrupted(self, worker):
        released = threading.Event()
        function = worker.load(lambda req, context: released.wait(DEADLINE))

        async def call():
            answered = worker.start(function, id="1")
            worker.worker.cancel("1")
            await asyncio.sleep(0)
            assert not answered.done()
            released.set()
            return await answered

        assert worker.run(call()).value is True

    def test_of_what_has_ended_or_never_was_is_no_error(self, worker, trace):
        worker.invoke(worker.load(trace.function("async")), id="1")
        worker.worker.cancel("1")
        worker.worker.cancel("2")

    def test_a_function_may_time_out_itself(self, worker):
        async def main(req, context):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

        assert isinstance(worker.invoke(worker.load(main)).error, TimeoutError)


def without_context(loop, coroutine, **details):
    if details.get("context"):
        raise TypeError("this factory is from before Python 3.11")
    return asyncio.Task(coroutine, loop=loop)


@pytest.mark.parametrize(
    "factory",
    [
        without_context,
        *([asyncio.eager_task_factory] if sys.version_info >= (3, 12) else []),
    ],
)
def test_an_app_may_set_a_task_factory(worker, trace, factory):
    trace.app_extension("App")
    function = worker.load(trace.function("async"))

    async def call():
        worker.loop.set_task_factory(factory)
        answers = [worker.start(function) for _ in range(3)]
        values = [(await answer).value for answer in answers]
        worker.loop.set_task_factory(None)
        return values

    assert worker.run(call()) == ["answer to req"] * 3
    worker.worker.cancel("1")  # nothing is left of it


class TestDrain:
    def test_when_nothing_runs(self, worker):
        worker.run(worker.worker.drain())

    @kinds
    def test_waits_for_what_runs(self, worker, kind):
        released, ended = threading.Event(), []

        def wait(req, context):
            assert released.wait(DEADLINE)

        async def wait_async(req, context):
            while not released.is_set():
                await asyncio.sleep(0)

        function = worker.load(wait if kind == "sync" else wait_async)

        async def drain():
            await worker.worker.drain()
            ended.append(list(worker.answers))

        async def call():
            worker.start(function)
            drains = [asyncio.create_task(drain()) for _ in range(2)]
            await asyncio.sleep(0)
            worker.start(function)
            assert not ended
            released.set()
            await asyncio.gather(*drains)

        worker.run(call())
        assert [sorted(answers) for answers in ended] == [["1", "2"]] * 2

    def test_waits_for_what_begins_as_the_last_one_ends(self, worker):
        began, ended = asyncio.Event(), asyncio.Event()

        async def main(req, context):
            await began.wait() if req == "first" else await ended.wait()

        function = worker.load(main)

        async def call():
            first = worker.start(function, "first")
            drain = asyncio.create_task(worker.worker.drain())
            await asyncio.sleep(0)
            began.set()
            await first
            second = worker.start(function, "second")
            for _ in range(5):
                await asyncio.sleep(0)
            assert not drain.done()
            ended.set()
            await asyncio.gather(drain, second)

        worker.run(call())


class TestMemory:
    """An invocation is gone when it has been answered, without the garbage collector's help."""

    class Body:
        """Stands for the body of a large request."""

    @pytest.mark.parametrize("hooks", [False, True], ids=["no hooks", "hooks"])
    @pytest.mark.parametrize("fails", [False, True], ids=["succeeds", "fails"])
    @kinds
    def test_arguments_are_released(self, worker, trace, kind, fails, hooks):
        if hooks:
            trace.app_extension("App")

        def main(req, context):
            if fails:
                raise ValueError

        function = worker.load(of_kind(kind, main))

        async def call():
            context, body = Context("HttpTrigger", "folder", "1"), self.Body()
            failed = worker.loop.create_future()
            worker.worker.invoke(
                Invocation(function, {"req": body, "context": context}, context),
                lambda outcome, lines: worker.loop.call_soon_threadsafe(failed.set_result, outcome.error is not None),
            )
            assert (await failed) is fails
            trace.clear()
            return weakref.ref(body)

        async def released(reference):
            while reference() is not None:  # the thread may have a few steps to go
                await asyncio.sleep(0)

        gc.collect()
        gc.disable()
        try:
            worker.run(released(worker.run(call())))
        finally:
            gc.enable()


def test_async_functions_run_on_the_loop_and_sync_ones_on_the_pool(worker):
    async def on_loop(req, context):
        return thread_kind()

    assert worker.invoke(worker.load(on_loop, "a")).value == "loop"
    assert worker.invoke(worker.load(lambda req, context: thread_kind(), "b")).value == "pool"
