"""Names the hooks that take too long, while they do.

A hook that hangs, or blocks the event loop, can say nothing of it, and to measure every call would cost every call. So
a thread looks now and then which hook is running for each invocation (:attr:`~worker_ext.invocation.Invocation.at`),
and whether the loop still answers. (To walk the stacks of other threads would tell more, but can crash CPython 3.11.)
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from time import monotonic, sleep
from typing import Any

from ..hooks.hook import Hook
from ..invocation import Invocation, LogRecord

SLOW_SETTING = "WORKER_EXT_SLOW_HOOK_SECONDS"
"""The setting that says after how many seconds a hook is warned of; 0 for never."""

SLOW = 1.0
"""Seconds after which a hook is warned of, unless :data:`SLOW_SETTING` says otherwise."""

BLOCKING = 0.1
"""Seconds for which a hook may block the event loop before it is warned of."""

SILENCE = 60.0
"""Seconds for which a hook that has been warned of is not mentioned again."""

_IDLE, _BUSY = 0.25, 0.03  # seconds between two looks

_logger = logging.getLogger("worker_ext")

Report = Callable[[Invocation, LogRecord], None]
"""Tells people; called on the watch's own thread."""


def slow_after(environ: Mapping[str, str]) -> float:
    """Seconds after which a hook is warned of."""
    text = environ.get(SLOW_SETTING, "").strip() or str(SLOW)
    try:
        seconds = float(text)
        if not 0 <= seconds < math.inf:
            raise ValueError
    except ValueError:
        _logger.warning("%s is %r, which is no number of seconds; %g is used", SLOW_SETTING, text, SLOW)
        return SLOW
    return seconds or math.inf


class HookWatch:
    """Looks at the hooks of running invocations from a thread of its own, until it is collected.

    :param loop: the event loop.
    :param running: gives the running invocations; other things among them do not matter.
    :param task_of: gives the task of an invocation, if it has one.
    :param report: takes the warnings.
    :param slow: seconds after which a hook is warned of.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        running: Callable[[], Iterable[object]],
        task_of: Callable[[Invocation], asyncio.Task[Any] | None],
        report: Report,
        slow: float,
    ) -> None:
        self._loop = loop
        self._running = running
        self._task_of = task_of
        self._report = report
        self._slow = slow
        self._since: dict[Invocation, tuple[Hook, float]] = {}
        self._asked: float | None = None  # when the loop was asked to answer, if it has not yet
        self._silent_until: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=_look_on, args=(weakref.ref(self),), name="hook watch", daemon=True).start()

    def look(self, now: float) -> bool:
        """Compare what is running with what was running at the last look.

        :param now: as :func:`time.monotonic` tells it.
        :returns: whether any hook is running.
        """
        since = {}
        for invocation in self._running():
            if isinstance(invocation, Invocation) and (hook := invocation.at) is not None:
                before = self._since.get(invocation)
                since[invocation] = before if before is not None and before[0] is hook else (hook, now)
        self._since = since
        self._look_at_loop([one for one, (hook, _) in since.items() if one.function.is_async or hook.is_async], now)
        for invocation, (hook, begun) in since.items():
            if now - begun >= self._slow:
                self._warn(invocation, hook, now, f"has been running for {now - begun:.1f} s")
        return bool(since)

    def _look_at_loop(self, invocations: list[Invocation], now: float) -> None:
        """Find out whether the loop is blocked, if one of these invocations could be what blocks it."""
        if self._asked is not None and now - self._asked >= BLOCKING:
            culprit = self._culprit(invocations)
            if culprit is not None and (hook := culprit.at) is not None:
                self._warn(culprit, hook, now, _BLOCKS.format(seconds=now - self._asked))
        elif self._asked is None and invocations:
            self._asked = now
            try:
                self._loop.call_soon_threadsafe(self._answer)
            except RuntimeError:  # it has closed
                self._asked = None

    def _answer(self) -> None:
        self._asked = None

    def _culprit(self, invocations: list[Invocation]) -> Invocation | None:
        """The invocation whose hook blocks the loop: a sync one that runs, or the one that the current task runs."""
        for invocation in invocations:
            if (hook := invocation.at) is not None and not hook.is_async:
                return invocation
        current = asyncio.current_task(self._loop)
        return next((one for one in invocations if current is not None and self._task_of(one) is current), None)

    def _warn(self, invocation: Invocation, hook: Hook, now: float, what: str) -> None:
        named = hook.extension, hook.name
        if now < self._silent_until.get(named, 0.0):
            return
        self._silent_until[named] = now + SILENCE
        text = f"{hook.extension}.{hook.name} {what}, for {invocation.function.name} (Id={invocation.id})"
        self._report(invocation, LogRecord(logging.WARNING, "worker_ext", text))


_BLOCKS = (
    "has blocked the event loop for {seconds:.1f} s; no async function runs meanwhile. Make what takes so long "
    "async, or have it run in a thread with asyncio.to_thread"
)


def _look_on(reference: weakref.ref[HookWatch]) -> None:
    while (watch := reference()) is not None:
        busy = watch.look(monotonic())
        del watch  # not to keep it alive
        sleep(_BUSY if busy else _IDLE)
