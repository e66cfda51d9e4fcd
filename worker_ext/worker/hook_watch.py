"""Names the hooks that take too long, while they do.

A hook that hangs, or blocks the event loop, can say nothing of it, and to measure every call would cost every call. So
a thread looks now and then which hook is running for each invocation (:attr:`~worker_ext.invocation.Invocation.at`).
"""

from __future__ import annotations

import inspect
import logging
import math
import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from time import monotonic, sleep
from types import CodeType
from typing import NamedTuple

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
    """Looks at the hooks of running invocations from a thread of its own, until it is collected or stopped.

    :param running: gives the running invocations; other things among them do not matter.
    :param report: takes the warnings.
    :param slow: seconds after which a hook is warned of.
    """

    def __init__(self, running: Callable[[], Iterable[object]], report: Report, slow: float) -> None:
        self._running = running
        self._report = report
        self._slow = slow
        self._loop_thread = 0
        self._seen: dict[Invocation, _Sight] = {}
        self._silent_until: dict[tuple[str, str], float] = {}

    def start(self) -> None:
        """Begin to look. Call this on the event loop's thread."""
        self._loop_thread = threading.get_ident()
        threading.Thread(target=_look_on, args=(weakref.ref(self),), name="hook watch", daemon=True).start()

    def look(self, now: float) -> bool:
        """Compare what is running with what was running at the last look.

        :param now: as :func:`time.monotonic` tells it.
        :returns: whether any hook is running.
        """
        seen = {}
        on_loop = self._codes_on_loop()
        for invocation in self._running():
            hook = invocation.at if isinstance(invocation, Invocation) else None
            if hook is None:
                continue
            assert isinstance(invocation, Invocation)
            before = self._seen.get(invocation)
            since = before.since if before is not None and before.hook is hook else now
            blocks = _code_of(hook) in on_loop
            blocking_since = (before.blocking_since if since != now and before else None) or now if blocks else None
            seen[invocation] = _Sight(hook, since, blocking_since)
            if blocking_since is not None and now - blocking_since >= BLOCKING:
                self._warn(invocation, hook, now, _BLOCKS.format(seconds=now - blocking_since))
            elif now - since >= self._slow:
                self._warn(invocation, hook, now, f"has been running for {now - since:.1f} s")
        self._seen = seen
        return bool(seen)

    def _codes_on_loop(self) -> set[CodeType]:
        frame = sys._current_frames().get(self._loop_thread)
        codes = set()
        while frame is not None:
            codes.add(frame.f_code)
            frame = frame.f_back
        return codes

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


class _Sight(NamedTuple):
    hook: Hook
    since: float
    blocking_since: float | None


def _code_of(hook: Hook) -> CodeType | None:
    call = inspect.unwrap(hook.call)
    return getattr(inspect.unwrap(getattr(call, "__func__", call)), "__code__", None)


def _look_on(reference: weakref.ref[HookWatch]) -> None:
    while (watch := reference()) is not None:
        busy = watch.look(monotonic())
        del watch  # not to keep it alive
        sleep(_BUSY if busy else _IDLE)
