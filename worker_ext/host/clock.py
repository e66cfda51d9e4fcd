"""What time it is, so that tests can say so."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Protocol

_LONGEST_SLEEP = 60.0
"""Seconds after which the time is looked at again: a computer may have slept, or its clock may have been set."""


class Clock(Protocol):
    """Tells the time, and waits for one."""

    def now(self) -> datetime:
        """The time, in UTC."""

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until it is ``moment``."""


class SystemClock:
    """The computer's clock."""

    def now(self) -> datetime:
        """The time, in UTC."""
        return datetime.now(UTC)

    async def sleep_until(self, moment: datetime) -> None:
        """Wait until it is ``moment``."""
        while (left := (moment - self.now()).total_seconds()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LONGEST_SLEEP))
