"""Rates and latencies of the last minutes, second by second, and of each function since recording began."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

SECONDS = 120
"""How many seconds are kept."""

_SAMPLES = 1_000
"""How many durations of one second, or of one function, the percentiles are taken from."""


@dataclass(slots=True)
class Second:
    """What ended within one second.

    :ivar at: the second, since 1970.
    :ivar count: how many invocations.
    :ivar failed: how many of them failed.
    :ivar durations: their durations in seconds, up to a number.
    """

    at: int
    count: int = 0
    failed: int = 0
    durations: list[float] = field(default_factory=list)

    def describe(self) -> dict[str, Any]:
        """As JSON can carry it."""
        middle, high = percentiles(self.durations)
        return {"at": self.at, "count": self.count, "failed": self.failed, "p50": middle, "p95": high}


@dataclass(slots=True)
class Total:
    """What one function has done.

    :ivar count: how many invocations have ended.
    :ivar failed: how many of them failed.
    :ivar durations: the last ones' durations in seconds.
    """

    count: int = 0
    failed: int = 0
    durations: deque[float] = field(default_factory=lambda: deque(maxlen=_SAMPLES))


class Rates:
    """Counts invocations as they end."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque(maxlen=SECONDS)
        self._totals: dict[str, Total] = {}

    def add(self, function: str, duration: float, *, failed: bool) -> None:
        """Count an invocation.

        :param duration: how long it took, in seconds.
        """
        second = self._second(int(time.time()))
        total = self._totals.setdefault(function, Total())
        for counted in (second, total):
            counted.count += 1
            counted.failed += failed
        total.durations.append(duration)
        if len(second.durations) < _SAMPLES:
            second.durations.append(duration)

    def history(self) -> list[dict[str, Any]]:
        """The seconds that are complete, the oldest first; those in which nothing ended are among them."""
        now = int(time.time())
        self._second(now)
        return [second.describe() for second in self._seconds if second.at < now]

    def functions(self) -> dict[str, dict[str, Any]]:
        """What each function has done so far."""
        described = {}
        for name, total in self._totals.items():
            middle, high = percentiles(list(total.durations))
            described[name] = {"count": total.count, "failed": total.failed, "p50": middle, "p95": high}
        return described

    def _second(self, now: int) -> Second:
        """The current second, after the missing ones have been added."""
        seconds = self._seconds
        first = seconds[-1].at + 1 if seconds else now
        for at in range(max(first, now - SECONDS), now + 1):
            seconds.append(Second(at))
        return seconds[-1]


def percentiles(durations: list[float]) -> tuple[float | None, float | None]:
    """The median and the 95th percentile (nearest rank), ``None`` of nothing."""
    if not durations:
        return None, None
    ordered = sorted(durations)
    last = len(ordered) - 1
    return ordered[last // 2], ordered[min(last, (95 * len(ordered) + 99) // 100 - 1)]
