"""``around`` hooks: what runs inside them, what they make of it, and what becomes of those that misbehave."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from contextvars import ContextVar

import pytest
from support.invoking import DEADLINE, ERRORS, thread_kind

from worker_ext import AppExtensionBase, FuncExtensionBase
from worker_ext.invocation import LogRecord

kinds = pytest.mark.parametrize("kind", ["sync", "async"])
forms = pytest.mark.parametrize("form", ["generator", "coroutine"])


@pytest.fixture
def around(extensions):
    """Define an extension with an around of either form, made of one body.

    The body is a coroutine function of ``(logger, context, func_args, call_next)``, written once: as a generator it is
    driven by sending it what ``yield`` gives.
    """

    def define(form, body, name="Around", base=AppExtensionBase):
        if form == "coroutine":

            class Around(base):
                @classmethod
                async def around_invocation_app_level(cls, logger, context, func_args, call_next):
                    return await body(logger, context, func_args, call_next)
        else:

            class Around(base):
                @classmethod
                def around_invocation_app_level(cls, logger, context, func_args):
                    return (yield from body(logger, context, func_args, _Yield).__await__())

        Around.__name__ = name
        return Around

    class _Yield:
        """Awaiting it is a bare yield."""

        def __await__(self):
            return (yield)

    return define


def main_of(kind, call):
    async def main(req, context):
        await asyncio.sleep(0)
        return call(req, context)

    return call if kind == "sync" else main


@forms
@kinds
class TestBothForms:
    def test_what_it_returns_is_the_result(self, worker, around, kind, form):
        async def upper(logger, context, func_args, call_next):
            return (await call_next()).upper()

        around(form, upper)
        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: f"answer to {req}")))
        assert answer == ("ANSWER TO REQ", None, [])

    def test_one_that_forgets_to_return_is_named(self, worker, around, kind, form):
        async def forgetful(logger, context, func_args, call_next):
            await call_next()

        around(form, forgetful, name="Forgetful")
        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: req)))
        text = "around_invocation_app_level returned nothing in place of what the function gave: `return` that"
        assert answer == (None, None, [LogRecord(logging.WARNING, "Forgetful", text)])
        assert worker.invoke(worker.load(main_of(kind, lambda req, context: None))) == (None, None, [])

    def test_it_may_answer_without_calling_the_function(self, worker, around, trace, kind, form):
        async def refuse(logger, context, func_args, call_next):
            return "refused"

        around(form, refuse)
        assert worker.invoke(worker.load(trace.function(kind))).value == "refused"
        assert trace.names == []

    def test_it_may_try_again(self, worker, around, kind, form):
        tries = []

        async def retry(logger, context, func_args, call_next):
            for _ in range(3):
                try:
                    return await call_next()
                except ValueError as error:
                    logger.info("%s", error)
            return "gave up"

        def fail_twice(req, context):
            tries.append(req)
            if len(tries) < 3:
                raise ValueError(f"try {len(tries)}")
            return "third time lucky"

        around(form, retry)
        answer = worker.invoke(worker.load(main_of(kind, fail_twice)))
        assert (answer.value, answer.messages) == ("third time lucky", ["try 1", "try 2"])

    @pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
    def test_errors_arrive_at_the_yield_and_go_on_from_there(self, worker, around, kind, form, error):
        seen = []

        async def look(logger, context, func_args, call_next):
            try:
                return await call_next()
            except BaseException as raised:
                seen.append(raised)
                raise

        def fail(req, context):
            raise error

        around(form, look)
        answer = worker.invoke(worker.load(main_of(kind, fail)))
        if isinstance(error, StopIteration) and (kind, form) != ("sync", "generator"):  # no coroutine can raise it
            assert answer.error.__cause__ is error or answer.error.__cause__.__cause__ is error
        elif not isinstance(error, StopIteration):
            assert answer.error is error
            assert [type(one) for one in seen] == [type(error)]  # `yield from` has another GeneratorExit raised

    def test_an_error_can_become_another_or_none(self, worker, around, kind, form):
        async def translate(logger, context, func_args, call_next):
            try:
                return await call_next()
            except ValueError:
                return "no value"
            except KeyError as error:
                raise LookupError("translated") from error

        def fail(req, context):
            raise req

        around(form, translate)
        function = worker.load(main_of(kind, fail))
        assert worker.invoke(function, ValueError()).value == "no value"
        error = worker.invoke(function, KeyError("key")).error
        assert isinstance(error, LookupError)
        assert isinstance(error.__cause__, KeyError)

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_what_it_raises_is_the_error_of_the_invocation(self, worker, around, trace, kind, form, moment):
        async def fail(logger, context, func_args, call_next):
            if moment == "after":
                await call_next()
            raise RuntimeError("no licence")

        around(form, fail)
        trace.app_extension("App")
        function = worker.load(trace.function(kind))
        trace.clear()
        answer = worker.invoke(function)
        assert str(answer.error) == "no licence"
        assert trace.names == ["App.pre", "function"][: 1 if moment == "before" else 2]

    def test_layers_lie_in_each_other_in_the_order_of_registration(self, worker, around, kind, form):
        steps = []

        def layer(name):
            async def note(logger, context, func_args, call_next):
                steps.append(f"{name} begins")
                result = await call_next()
                steps.append(f"{name} ends")
                return f"{name}({result})"

            return note

        for name in "abc":
            around(form, layer(name), name)
        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: steps.append("function") or req)))
        assert answer.value == "a(b(c(req)))"
        assert steps == ["a begins", "b begins", "c begins", "function", "c ends", "b ends", "a ends"]

    def test_an_outer_retry_runs_the_inner_layers_again_and_classic_hooks_once(self, worker, around, trace, kind, form):
        async def twice(logger, context, func_args, call_next):
            await call_next()
            return await call_next()

        async def inner(logger, context, func_args, call_next):
            trace.append("inner")
            return await call_next()

        around(form, twice, "Twice")
        around(form, inner, "Inner")
        app = trace.app_extension("App")
        function = worker.load(trace.function(kind))
        trace.clear()
        worker.invoke(function)
        names = [step if isinstance(step, str) else step.name for step in trace]
        assert names == ["App.pre", "inner", "function", "inner", "function", "App.post"]
        assert app

    def test_arguments_can_be_changed_and_undeclared_ones_are_dropped(self, worker, around, kind, form):
        async def change(logger, context, func_args, call_next):
            func_args["req"] = "changed"
            func_args["more"] = 1
            return await call_next()

        around(form, change)
        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: req)))
        assert answer.value == "changed"
        assert "is called without 'more'" in answer.messages[0]

    def test_context_variables_flow_in_and_back(self, worker, around, kind, form):
        variable = ContextVar("variable", default="")
        seen = []

        async def setting(logger, context, func_args, call_next):
            variable.set("around ")
            try:
                return await call_next()
            finally:
                seen.append(variable.get())
                variable.set(variable.get() + "after")

        class Post(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                variable.set("pre")

            @classmethod
            def post_invocation_app_level(cls, logger, context, func_args, func_ret):
                seen.append(variable.get())

        def main(req, context):
            variable.set(variable.get() + "function ")

        around(form, setting)
        worker.invoke(worker.load(main_of(kind, main)))
        assert seen == ["around function ", "around function after"]

    def test_nothing_of_an_invocation_is_held_when_it_failed(self, worker, around, kind, form):
        async def pass_on(logger, context, func_args, call_next):
            return await call_next()

        class Failure(Exception):
            pass

        def fail(req, context):
            raise Failure

        around(form, pass_on)
        function = worker.load(main_of(kind, fail))

        async def call():
            return weakref.ref((await worker.start(function)).error)

        async def released(reference):
            while reference() is not None:  # the thread may have a few steps to go
                await asyncio.sleep(0)

        gc.collect()
        gc.disable()
        try:
            worker.run(released(worker.run(call())))
        finally:
            gc.enable()


class TestLevels:
    @kinds
    def test_function_level_is_inside_application_level(self, worker, trace, tmp_path, kind):
        class Func(FuncExtensionBase):
            def around_invocation(self, logger, context, func_args):
                trace.append("function-level")
                return (yield)

        Func(str(tmp_path / "HttpTrigger" / "__init__.py"))

        class App(AppExtensionBase):
            @classmethod
            async def around_invocation_app_level(cls, logger, context, func_args, call_next):
                trace.append("application-level")
                return await call_next()

        worker.invoke(worker.load(main_of(kind, lambda req, context: None)))
        worker.invoke(worker.load(main_of(kind, lambda req, context: None), "Other"))
        assert trace == ["application-level", "function-level", "application-level"]

    def test_those_on_a_thread_stay_there_and_coroutines_run_on_the_loop(self, worker, extensions):
        threads = {}

        def here(name):
            threads[name] = (thread_kind(), threading.get_ident())

        class Outer(AppExtensionBase):
            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                here("outer")
                result = yield
                here("outer ends")
                return result

        class Middle(AppExtensionBase):
            @classmethod
            async def around_invocation_app_level(cls, logger, context, func_args, call_next):
                here("middle")
                await asyncio.sleep(0)
                return await call_next()

        class Inner(Outer):
            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                here("inner")
                return (yield)

            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args):
                here("pre")

        class OuterAgain(Outer):
            pass

        worker.invoke(worker.load(lambda req, context: here("function")))
        assert threads.pop("middle")[0] == "loop"
        assert len(set(threads.values())) == 1
        assert threads["function"][0] == "pool"

    @kinds
    def test_super_is_a_layer_that_does_nothing(self, worker, extensions, kind):
        class Around(AppExtensionBase):
            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                return (yield from super().around_invocation_app_level(logger, context, func_args))

        assert worker.invoke(worker.load(main_of(kind, lambda req, context: req))).value == "req"


class TestCoroutines:
    @kinds
    def test_call_next_may_be_given_a_limit(self, worker, around, kind):
        released = threading.Event()

        async def limited(logger, context, func_args, call_next):
            try:
                return await asyncio.wait_for(call_next(), 0.01)
            except TimeoutError:
                released.set()
                return "too slow"

        def block(req, context):
            released.wait(DEADLINE)

        async def sleep(req, context):
            await asyncio.sleep(DEADLINE)

        around("coroutine", limited)
        assert worker.invoke(worker.load(block if kind == "sync" else sleep)).value == "too slow"

    @kinds
    def test_call_next_in_a_task_of_its_own(self, worker, around, kind):
        async def in_task(logger, context, func_args, call_next):
            return await asyncio.create_task(call_next())

        around("coroutine", in_task)
        assert worker.invoke(worker.load(main_of(kind, lambda req, context: req))).value == "req"

    @kinds
    def test_two_calls_at_once_run_the_function_twice(self, worker, around, kind):
        async def both(logger, context, func_args, call_next):
            return await asyncio.gather(call_next(), call_next())

        around("coroutine", both)
        assert worker.invoke(worker.load(main_of(kind, lambda req, context: req))).value == ["req", "req"]

    @kinds
    def test_call_next_after_the_end_is_an_error_there(self, worker, around, kind):
        kept = []

        async def keep(logger, context, func_args, call_next):
            kept.append(call_next)

        around("coroutine", keep)
        worker.invoke(worker.load(main_of(kind, lambda req, context: req)))
        with pytest.raises(RuntimeError, match="had ended"):
            worker.run(kept[0]())

    def test_one_that_is_cancelled_answers(self, worker, around):
        async def wait(logger, context, func_args, call_next):
            worker.worker.cancel(context.invocation_id)
            await asyncio.sleep(DEADLINE)

        around("coroutine", wait)
        answer = worker.invoke(worker.load(main_of("async", lambda req, context: req)))
        assert isinstance(answer.error, asyncio.CancelledError)


class TestMistakes:
    @kinds
    def test_a_generator_that_yields_something(self, worker, extensions, kind):
        closed = []

        class Wrong(AppExtensionBase):
            @classmethod
            def around_invocation_app_level(cls, logger, context, func_args):
                try:
                    yield func_args["req"]
                finally:
                    closed.append(True)

        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: req)))
        message = "Wrong.around_invocation_app_level yielded 'req'; a bare `yield` runs the function"
        assert (type(answer.error), str(answer.error)) == (TypeError, message)
        assert closed == [True]

    @kinds
    def test_a_coroutine_that_forgets_to_await_is_named(self, worker, extensions, kind):
        class Hasty(AppExtensionBase):
            @classmethod
            async def around_invocation_app_level(cls, logger, context, func_args, call_next):
                return call_next()

        answer = worker.invoke(worker.load(main_of(kind, lambda req, context: req)))
        text = "returned a coroutine that nobody awaits: `await` it, as call_next()"
        assert (type(answer.error), str(answer.error)) == (TypeError, f"Hasty.around_invocation_app_level {text}")

    @pytest.mark.parametrize("how", ["plain", "async generator", "no call_next", "call_next for a generator"])
    def test_what_is_no_around_is_refused_with_the_mismatch(self, worker, extensions, how):
        def plain(cls, logger, context, func_args):
            return None

        async def async_generator(cls, logger, context, func_args):
            yield

        async def no_call_next(cls, logger, context, func_args):
            return None

        def with_call_next(cls, logger, context, func_args, call_next):
            yield

        wrong, mismatch = {
            "plain": (plain, "neither yields nor is async def"),
            "async generator": (async_generator, "is an async generator"),
            "no call_next": (
                no_call_next,
                "but is called with (logger, context, func_args, call_next): too many positional arguments",
            ),
            "call_next for a generator": (
                with_call_next,
                "but is called with (logger, context, func_args): missing a required argument: 'call_next'",
            ),
        }[how]
        type("Wrong", (AppExtensionBase,), {"around_invocation_app_level": classmethod(wrong)})
        answer = worker.invoke(worker.load(lambda req, context: req))
        assert answer.value == "req"
        (message,) = worker.messages()
        assert message.startswith("around_invocation_app_level is not run: it is declared as ")
        assert mismatch in message
