"""How an invocation of a stock runtime crosses over into the pipeline, and its outcome back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import copy_context
from pathlib import Path
from types import TracebackType
from typing import Any

from ..function import Function
from ..hooks.pipeline import Pipeline, run, run_async
from ..invocation import Invocation, Outcome, current_invocation

_OURS = str(Path(__file__).resolve().parents[1])

TakeContext = Callable[[dict[str, Any]], Any]
"""Finds the Context of an invocation by the arguments that the runtime calls its function with."""


class Crossing:
    """Runs the invocations of one function with its hooks.

    :param function: what the user wrote.
    :param pipeline: its hooks.
    :param loop: the runtime's event loop; async hooks of sync functions run there.
    :param take_context: finds an invocation's context.
    :param starts: what invocations wait for, if there is something.
    :param find_no_context: called where there is no context. The function runs without hooks then, unless this raises.
    """

    def __init__(
        self,
        function: Function,
        pipeline: Pipeline,
        loop: asyncio.AbstractEventLoop,
        take_context: TakeContext,
        starts: Callable[[], Future[None] | None],
        find_no_context: Callable[[], None],
    ) -> None:
        self._function = function
        self._pipeline = pipeline
        self._loop = loop
        self._take_context = take_context
        self._starts = starts
        self._find_no_context = find_no_context

    def entrance(self) -> Callable[..., Any]:
        """What the runtime is to call instead of the function: a function of the same kind, sync or async.

        The second line of its code is the only one that does something.
        """
        if self._function.is_async:

            async def invoke_async(**arguments: Any) -> Any:
                return await self._invoke_async(arguments)

            return invoke_async

        def invoke(**arguments: Any) -> Any:
            return self._invoke(arguments)

        return invoke

    async def _invoke_async(self, arguments: dict[str, Any]) -> Any:
        starting = self._starts()
        if starting is not None:
            await asyncio.wrap_future(starting)
        invocation = self._invocation(arguments)
        if invocation is None:
            return await self._function.call(**arguments)
        token = current_invocation.set(invocation)
        try:
            return _value(await run_async(invocation, self._pipeline))
        finally:
            current_invocation.reset(token)

    def _invoke(self, arguments: dict[str, Any]) -> Any:
        starting = self._starts()
        if starting is not None:
            starting.result()
        invocation = self._invocation(arguments)
        if invocation is None:
            return self._function.call(**arguments)
        # What hooks and function leave in context variables must not be there for the thread's next invocation.
        return _value(copy_context().run(self._run, invocation))

    def _run(self, invocation: Invocation) -> Outcome:
        current_invocation.set(invocation)
        return run(invocation, self._pipeline, self._loop)

    def _invocation(self, arguments: dict[str, Any]) -> Invocation | None:
        try:
            return Invocation(self._function, arguments, self._take_context(arguments))
        except (LookupError, AttributeError):
            self._find_no_context()
            return None


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
