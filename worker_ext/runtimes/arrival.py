"""Invocations of which a part reaches the worker beside the host's message, and has to be waited for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from ..invocation import Invocation, LogRecord, Outcome

if TYPE_CHECKING:
    from ..worker.worker import Done, Worker


class Arrival(Protocol):
    """What an invocation waits for."""

    async def wait(self) -> None:
        """Wait until the invocation can run.

        :raises Exception: why it cannot; the invocation then fails with this.
        """

    def ended(self, outcome: Outcome) -> None:
        """Note how the invocation ended; on the thread that ran it, before the host is told."""


async def invoke_on_arrival(worker: Worker, invocation: Invocation, arrival: Arrival, done: Done) -> None:
    """Run an invocation when all of it has come. To cancel this task cancels the invocation.

    :param done: told how it ended, also if it never ran.
    """
    try:
        await arrival.wait()
    except (Exception, asyncio.CancelledError) as error:
        invocation.context.cancelled.set()
        done(Outcome(None, error), [])
        return

    def ended(outcome: Outcome, lines: list[LogRecord]) -> None:
        arrival.ended(outcome)
        done(outcome, lines)

    worker.invoke(invocation, ended)
