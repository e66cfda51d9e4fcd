"""How an invocation of a stock runtime crosses over into the pipeline, and its outcome back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from ..function import Function
from ..hooks.pipeline import Pipeline, run, run_async, settled
from ..hooks.registry import Registry
from ..invocation import Invocation, Outcome, current_invocation

_OURS = str(Path(__file__).resolve().parents[1])

TakeContext = Callable[[dict[str, Any]], Any]
"""Finds the Context of an invocation by the arguments that the runtime calls its function with."""


def declared_context(arguments: dict[str, Any]) -> Any:
    """The context, which the function itself declares."""
    return arguments["context"]


def added_context(arguments: dict[str, Any]) -> Any:
    """The context, which the function does not declare and must not see."""
    return arguments.pop("context")


def with_hooks(
    function: Function, registry: Registry, loop: asyncio.AbstractEventLoop | None, take_context: TakeContext
) -> Callable[..., Any]:
    """What the runtime is to call instead of the function: the same kind of callable, sync or async.

    :param function: what the user wrote.
    :param registry: where its hooks come from.
    :param loop: the runtime's event loop; async hooks of sync functions run there.
    :param take_context: finds an invocation's context.
    """
    pipeline = Pipeline(function, registry)

    def wait(awaited: Awaitable[Any]) -> Outcome:
        if loop is None:
            return Outcome(None, RuntimeError("async hooks need the worker's event loop, and none was running"))
        try:
            return asyncio.run_coroutine_threadsafe(settled(awaited), loop).result()
        except BaseException as error:  # the app has cancelled all tasks of the loop
            return Outcome(None, error)

    # Each of the two is one line, which a traceback shows as the line where the user's function begins.
    if function.is_async:

        async def invoke_async(**arguments: Any) -> Any:
            return await _invoke_async(function, arguments, take_context, pipeline)

        return invoke_async

    def invoke(**arguments: Any) -> Any:
        return _invoke(function, arguments, take_context, pipeline, wait)

    return invoke


async def _invoke_async(
    function: Function, arguments: dict[str, Any], take_context: TakeContext, pipeline: Pipeline
) -> Any:
    invocation = Invocation(function, arguments, take_context(arguments))
    token = current_invocation.set(invocation)
    try:
        return _value(await run_async(invocation, pipeline))
    finally:
        current_invocation.reset(token)


def _invoke(
    function: Function,
    arguments: dict[str, Any],
    take_context: TakeContext,
    pipeline: Pipeline,
    wait: Callable[[Awaitable[Any]], Outcome],
) -> Any:
    invocation = Invocation(function, arguments, take_context(arguments))
    token = current_invocation.set(invocation)
    try:
        return _value(run(invocation, pipeline, wait))
    finally:
        current_invocation.reset(token)


def _value(outcome: Outcome) -> Any:
    """What the function returned; what it raised is raised, as if it had been called here."""
    if outcome.error is None:
        return outcome.value
    try:
        raise outcome.error.with_traceback(_below_ours(outcome.error.__traceback__))
    finally:
        del outcome  # an error must not be held by a frame of its own traceback


def _below_ours(traceback: TracebackType | None) -> TracebackType | None:
    """The part of a traceback that begins in the user's code."""
    while traceback is not None and traceback.tb_frame.f_code.co_filename.startswith(_OURS):
        traceback = traceback.tb_next
    return traceback
