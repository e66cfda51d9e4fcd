"""The part of the admin API that tells whether the app can do its work: every worker, and every extension in it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import WorkerLost
from ..transports.http1 import Exchange
from .admin_keys import Handlers
from .answers import answer_json
from .status import HostStatus
from .worker_process import WorkerProcess

LIMIT = 4.0
"""Seconds that a worker has to answer: more than it gives its extensions, and so it answers unless it is blocked."""


class HealthApi:
    """Answers requests about health.

    :param status: what the host is doing.
    :param serving: gives the workers that can take calls.
    """

    def __init__(self, status: HostStatus, serving: Callable[[], Sequence[WorkerProcess]]) -> None:
        self._status = status
        self._serving = serving
        self._tasks: set[asyncio.Task[None]] = set()  # the loop itself would forget them

    def routes(self) -> dict[str, Handlers]:
        """What the admin API is to serve, by pattern of paths below ``/admin``."""
        return {"/host/health": {"GET": self._get}}

    def _get(self, exchange: Exchange) -> None:
        task = asyncio.ensure_future(self._answer(exchange))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, exchange: Exchange) -> None:
        workers = await asyncio.gather(*map(_health_of, self._serving()))
        ready = bool(workers) and all(worker["ready"] for worker in workers)
        answer: dict[str, Any] = {"ready": ready, "state": self._status.state, "workers": workers}
        if self._status.problem:
            answer["errors"] = [self._status.problem]
        answer_json(exchange, 200 if ready else 503, answer)


async def _health_of(worker: WorkerProcess) -> dict[str, Any]:
    try:
        reasons = await asyncio.wait_for(worker.health(), LIMIT)
    except TimeoutError:
        problem = f"it has not answered within {LIMIT:g} s: something blocks its event loop"
    except WorkerLost as error:
        problem = error.message
    else:
        waiting = [{"extension": extension, "reason": reason} for extension, reason in reasons]
        return {"pid": worker.pid, "ready": not waiting, "notReady": waiting}
    return {"pid": worker.pid, "ready": False, "problem": problem, "notReady": []}
