"""The timeline of an invocation: which hooks ran, when, for how long, and what they raised.

It is recorded only for invocations whose :attr:`~worker_ext.invocation.Invocation.timeline` is a list. Their hooks and
function are then called by way of a stopwatch, so that the others pay nothing.
"""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from functools import wraps
from time import perf_counter
from typing import Any

from ..invocation import Invocation, Outcome, TimelineEntry
from .around import Call
from .drivers import Steps
from .hook import Hook
from .registry import HookSet

_logger = logging.getLogger("worker_ext")


def recorded(
    invocation: Invocation, hooks: HookSet, steps: Callable[[Invocation, HookSet, Call], Steps[Outcome]], call: Call
) -> Steps[Outcome]:
    """The steps of an invocation with a stopwatch to each of them; at the end the timeline goes to the debug log.

    :param hooks: the hooks.
    :param steps: makes the steps of hooks and a call.
    :param call: calls the function.
    """
    watch = _Stopwatch()
    function = copy.copy(invocation.function)
    function.call = watch.timed("", function.name, function.call)
    timed = HookSet(*(watch.hooks(each) for each in hooks))
    try:
        return (yield from steps(invocation, timed, lambda _, arguments: call(function, arguments)))
    finally:
        if invocation.timeline is not None:
            invocation.timeline += sorted(watch.entries, key=lambda entry: entry.start)
            if _logger.isEnabledFor(logging.DEBUG):
                _logger.debug("timeline: %s", "; ".join(map(_told, invocation.timeline)))


class _Stopwatch:
    def __init__(self) -> None:
        self._begun = perf_counter()
        self.entries: list[TimelineEntry] = []

    def hooks(self, hooks: tuple[Hook, ...]) -> tuple[Hook, ...]:
        return tuple(hook._replace(call=self.timed(hook.extension, hook.name, hook.call)) for hook in hooks)

    def timed(self, extension: str, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """``call``, noted from its beginning to the end of what it gives: of an awaitable or a generator, that too."""

        @wraps(call)
        def run(*arguments: Any, **named: Any) -> Any:
            start = perf_counter()

            def note(error: BaseException | None = None) -> None:
                duration = perf_counter() - start
                entry = TimelineEntry(extension, name, start - self._begun, duration, _shown(error) if error else "")
                self.entries.append(entry)

            try:
                answer = call(*arguments, **named)
            except BaseException as error:
                note(error)
                raise
            if inspect.isgenerator(answer):
                return _followed(answer, note)
            if inspect.isawaitable(answer):
                return _awaited(answer, note)
            note()
            return answer

        return run


def _followed(generator: Generator[Any, Any, Any], note: Callable[..., None]) -> Generator[Any, Any, Any]:
    try:
        answer = yield from generator
    except BaseException as error:
        note(error)
        raise
    note()
    return answer


async def _awaited(awaitable: Awaitable[Any], note: Callable[..., None]) -> Any:
    try:
        answer = await awaitable
    except BaseException as error:
        note(error)
        raise
    note()
    return answer


def _shown(error: BaseException) -> str:
    try:
        return repr(error)
    except Exception:  # it is of a class that cannot say it
        return type(error).__name__


def _told(entry: TimelineEntry) -> str:
    named = f"{entry.extension}.{entry.name}" if entry.extension else entry.name
    outcome = f" raised {entry.error}" if entry.error else ""
    return f"{named} {entry.duration * 1000:.3f} ms at {entry.start * 1000:.3f}{outcome}"
