"""``async def`` hooks: they are awaited, around async and sync functions alike."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar

import pytest
from azure.functions import AppExtensionBase
from support.invoking import DEADLINE, Step

from worker_ext.context import Context
from worker_ext.hooks.pipeline import Pipeline, run_async
from worker_ext.invocation import Invocation

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def async_extension(trace):
    """Define an extension whose hooks note that they began, let the loop turn, and note that they ended."""

    def define(name):
        class Async(AppExtensionBase):
            @classmethod
            async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
                trace.note(f"{name}.pre begins", context.function_name, func_args)
                await asyncio.sleep(0)
                trace.note(f"{name}.pre", context.function_name, func_args)

            @classmethod
            async def post_invocation_app_level(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
                trace.note(f"{name}.post begins", context.function_name, func_args, func_ret)
                await asyncio.sleep(0)
                trace.note(f"{name}.post", context.function_name, func_args, func_ret)

        Async.__name__ = name

    return define


@pytest.mark.parametrize(("kind", "thread"), [("sync", "pool"), ("async", "loop")])
def test_each_is_awaited_before_the_next_step(worker, trace, async_extension, kind, thread):
    async_extension("First")
    trace.app_extension("Second")
    answer = worker.invoke(worker.load(trace.function(kind)), "question")
    assert answer == ("answer to question", None, [])
    trace.remove(trace[0])  # Second's load hook
    arguments = {"req": "question"}
    assert trace == [
        Step("First.pre begins", "HttpTrigger", "loop", arguments),
        Step("First.pre", "HttpTrigger", "loop", arguments),
        Step("Second.pre", "HttpTrigger", thread, arguments),
        Step("function", "HttpTrigger", thread, arguments),
        Step("First.post begins", "HttpTrigger", "loop", arguments, "answer to question"),
        Step("First.post", "HttpTrigger", "loop", arguments, "answer to question"),
        Step("Second.post", "HttpTrigger", thread, arguments, "answer to question"),
    ]


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(1), asyncio.CancelledError(), GeneratorExit(), BaseException()]
)
@pytest.mark.parametrize("where", ["begins", ""], ids=["at once", "after a turn"])
@pytest.mark.parametrize("hook", ["pre", "post"])
@kinds
def test_what_one_raises_is_logged_and_the_others_go_on(worker, trace, async_extension, kind, hook, where, error):
    async_extension("Async")
    function = worker.load(trace.function(kind))
    trace.errors[f"Async.{hook} {where}".strip()] = error
    answer = worker.invoke(function)
    assert (answer.value, answer.error) == ("answer to req", None)
    (line,) = answer.lines
    assert line.message.startswith(f"{hook}_invocation_app_level failed: {error!r}")
    assert "function" in trace.names
    assert "Async.post begins" in trace.names


@kinds
def test_the_error_of_a_hook_is_not_told_as_the_cause_of_the_functions(worker, trace, async_extension, kind):
    async_extension("Async")
    function = worker.load(trace.function(kind))
    trace.errors = {"Async.pre": ValueError("hook"), "function": ValueError("function")}
    error = worker.invoke(function).error
    assert str(error) == "function"
    assert error.__context__ is None


@kinds
def test_any_awaitable_will_do(worker, trace, kind):
    class Eventually:
        def __await__(self):
            yield from asyncio.sleep(0).__await__()
            trace.append("awaited")

    class Returning(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            return Eventually()

    worker.invoke(worker.load(lambda req, context: trace.append("function")))
    assert trace == ["awaited", "function"]


def test_around_an_async_function_they_share_its_task(worker):
    variable = ContextVar("variable")
    tasks = []

    class Sharing(AppExtensionBase):
        @classmethod
        async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            tasks.append(asyncio.current_task())
            variable.set("from the hook")

    async def main(req, context):
        tasks.append(asyncio.current_task())
        return variable.get()

    assert worker.invoke(worker.load(main)).value == "from the hook"
    assert tasks[0] is tasks[1]


@kinds
def test_their_lines_belong_to_the_invocation(worker, kind, trace):
    class Logging(AppExtensionBase):
        @classmethod
        async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            await asyncio.sleep(0)
            logger.info("before %s", context.function_name)

    assert worker.invoke(worker.load(trace.function(kind))).messages == ["before HttpTrigger"]


@kinds
def test_a_hook_that_cancels_its_own_task(worker, trace, kind):
    """Around a sync function an async hook is a task of its own; cancelled, it is a hook that has failed."""

    class Waiting(AppExtensionBase):
        @classmethod
        async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
            asyncio.current_task().cancel()
            await asyncio.sleep(0)

    answer = worker.invoke(worker.load(trace.function(kind)))
    if kind == "sync":
        assert (answer.value, len(answer.lines)) == ("answer to req", 1)
    else:  # there it is the invocation's own task
        assert isinstance(answer.error, asyncio.CancelledError)


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_an_async_hook_that_is_cancelled_before_it_began_is_one_that_failed(worker, async_extension, trace):
    async_extension("Async")
    function = worker.load(trace.function("sync"))

    async def call():
        before = asyncio.all_tasks()
        answered = worker.start(function)
        while not (others := asyncio.all_tasks() - before):
            await asyncio.sleep(0)
        others.pop().cancel()
        return await answered

    answer = worker.run(call())
    assert answer.value == "answer to req"
    assert "pre_invocation_app_level failed: CancelledError()" in answer.messages[0]
    assert trace.names == ["function", "Async.post begins", "Async.post"]


class TestLoadHooks:
    def test_are_awaited_by_drain(self, worker, trace):
        class Loading(AppExtensionBase):
            @classmethod
            async def post_function_load_app_level(cls, function_name, function_directory, *args, **kwargs):
                await asyncio.sleep(0)
                trace.note("load", function_name, {"directory": function_directory})

        worker.load(trace.function("sync"))
        assert trace == []
        worker.run(worker.worker.drain())
        assert trace == [Step("load", "HttpTrigger", "loop", {"directory": "folder"})]

    def test_what_they_raise_is_logged(self, worker, trace):
        class Failing(AppExtensionBase):
            @classmethod
            async def post_function_load_app_level(cls, function_name, function_directory, *args, **kwargs):
                raise SystemExit("no")

        worker.load(trace.function("sync"))
        worker.run(worker.worker.drain())
        (message,) = worker.messages()
        assert message.startswith("post_function_load_app_level failed: SystemExit('no')")


class TestCancellation:
    """An invocation that is cancelled is answered, and runs no hook that has not begun."""

    @pytest.fixture
    def cancelled_in(self, worker, trace, async_extension):
        """Cancel an invocation as soon as a step has been noted."""

        async def cancel(step):
            answered = worker.start(function, id="1")
            while step not in trace.names:
                await asyncio.sleep(0)
            worker.worker.cancel("1")
            return await answered

        async def main(req, context):
            trace.note("function begins", context.function_name, {})
            await asyncio.sleep(0)
            trace.note("function", context.function_name, {})

        async_extension("First")
        trace.app_extension("Second")
        function = worker.load(main)
        trace.clear()
        return lambda step: worker.run(cancel(step))

    @pytest.mark.parametrize(
        ("step", "names"),
        [
            ("First.pre begins", 1),
            ("function begins", 4),
            ("First.post begins", 6),
        ],
    )
    def test_while_it_waits(self, trace, cancelled_in, step, names):
        answer = cancelled_in(step)
        assert isinstance(answer.error, asyncio.CancelledError)
        assert trace.names == ["First.pre begins", "First.pre", "Second.pre", "function begins", "function",
                               "First.post begins"][:names]  # fmt: skip
        assert answer.lines == []

    def test_a_hook_may_refuse_to_be_cancelled(self, worker, trace):
        class Stubborn(AppExtensionBase):
            @classmethod
            async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
                worker.worker.cancel(context.invocation_id)
                try:
                    await asyncio.sleep(DEADLINE)
                except asyncio.CancelledError:
                    logger.info("not now")

        answer = worker.invoke(worker.load(trace.function("async")))
        assert (answer.value, answer.messages) == ("answer to req", ["not now"])

    def test_an_invocation_whose_loop_goes_away_runs_nothing_more(self, worker, trace, async_extension):
        """A suspended coroutine that is closed, by the garbage collector for one, is no hook's failure."""
        async_extension("Async")
        function = worker.load(trace.function("async"))
        context = Context("HttpTrigger", "folder", "1")
        invocation = Invocation(function, {"req": "req", "context": context}, context)

        async def begin_and_close():
            running = run_async(invocation, Pipeline(function, worker.registry))
            running.send(None)
            running.close()

        worker.run(begin_and_close())
        assert trace.names == ["Async.pre begins"]
        assert worker.messages() == []
