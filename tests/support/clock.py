"""A clock that a test sets."""

from __future__ import annotations

import asyncio
from datetime import datetime


class ManualClock:
    """It stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._sleepers: list[tuple[datetime, asyncio.Future[None]]] = []

    def now(self) -> datetime:
        return self._now

    async def sleep_until(self, moment: datetime) -> None:
        if moment > self._now:
            awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._sleepers.append((moment, awake))
            await awake

    async def next_alarm(self) -> datetime:
        """Wait until somebody sleeps; the earliest moment until which somebody does."""
        async with asyncio.timeout(10):
            while not (waiting := [moment for moment, awake in self._sleepers if not awake.done()]):
                await asyncio.sleep(0)
        return min(waiting)

    async def advance_to(self, moment: datetime) -> None:
        """Move on, and wake whoever sleeps until then or earlier."""
        self._now = moment
        for until, awake in self._sleepers:
            if until <= moment and not awake.done():
                awake.set_result(None)
        self._sleepers = [(until, awake) for until, awake in self._sleepers if not awake.done()]
        await asyncio.sleep(0)
