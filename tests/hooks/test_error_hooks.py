"""``on_invocation_error``: what runs instead of the post hooks when an invocation fails."""

from __future__ import annotations

import asyncio

import azure.functions as sdk
import pytest
from support.invoking import DEADLINE, ERRORS

from worker_ext import AppExtensionBase, FuncExtensionBase

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


@pytest.fixture
def both_levels(trace, tmp_path):
    """Two extensions of each level that note errors and post hooks."""

    class Func(FuncExtensionBase):
        def on_invocation_error(self, logger, context, func_args, error):
            trace.note("function-level error", context.function_name, func_args, error)

        def post_invocation(self, logger, context, func_args, func_ret):
            trace.note("function-level post", context.function_name, func_args, func_ret)

    class App(AppExtensionBase):
        @classmethod
        async def on_invocation_error_app_level(cls, logger, context, func_args, error):
            await asyncio.sleep(0)
            trace.note("application-level error", context.function_name, func_args, error)

        @classmethod
        def post_invocation_app_level(cls, logger, context, func_args, func_ret):
            trace.note("application-level post", context.function_name, func_args, func_ret)

    class Classic(sdk.AppExtensionBase):
        """Built on the SDK's own base, as extensions are that run on stock workers as well."""

        @classmethod
        def on_invocation_error_app_level(cls, logger, context, func_args, error):
            trace.note("classic error", context.function_name, func_args, error)

    Func(str(tmp_path / "HttpTrigger" / "__init__.py"))


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@kinds
def test_function_level_first_and_no_post_hook(worker, trace, both_levels, kind, error):
    trace.errors["function"] = error
    answer = worker.invoke(worker.load(trace.function(kind)), "question")
    hooks = ["function-level error", "application-level error", "classic error"]
    assert trace.names == ["function", *hooks]
    assert {step.result for step in trace[1:]} == {answer.error}
    assert {step.arguments["req"] for step in trace} == {"question"}
    assert answer.lines == []


@kinds
def test_none_of_them_after_success(worker, trace, both_levels, kind):
    worker.invoke(worker.load(trace.function(kind)))
    assert trace.names == ["function", "function-level post", "application-level post"]


@kinds
def test_one_that_fails_is_logged_and_changes_nothing(worker, trace, both_levels, kind):
    trace.errors = {"function": ValueError("the function's"), "function-level error": KeyError("the hook's")}
    answer = worker.invoke(worker.load(trace.function(kind)))
    assert str(answer.error) == "the function's"
    assert answer.error.__context__ is None
    assert trace.names[-1] == "classic error"
    (message,) = answer.messages
    assert message.startswith('on_invocation_error failed: KeyError("the hook\'s")')


@kinds
def test_what_an_around_hook_makes_of_an_error_is_what_they_see(worker, trace, both_levels, kind):
    class Around(AppExtensionBase):
        @classmethod
        def around_invocation_app_level(cls, logger, context, func_args):
            try:
                return (yield)
            except ValueError:
                return "no error any more"
            except KeyError as error:
                raise LookupError from error

    function = worker.load(trace.function(kind))
    trace.errors["function"] = ValueError()
    assert worker.invoke(function).value == "no error any more"
    assert trace.names == ["function", "function-level post", "application-level post"]
    trace.clear()
    trace.errors["function"] = KeyError()
    error = worker.invoke(function).error
    assert isinstance(error, LookupError)
    assert [step.result for step in trace[1:]] == [error] * 3


def test_an_invocation_that_is_cancelled_has_failed(worker, trace, both_levels):
    async def main(req, context):
        worker.worker.cancel(context.invocation_id)
        await asyncio.sleep(DEADLINE)

    answer = worker.invoke(worker.load(main))
    assert isinstance(answer.error, asyncio.CancelledError)
    assert trace.names == ["function-level error", "application-level error", "classic error"]
