"""Starts and stops the triggers of an app, edition by edition."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from functools import partial

from ...errors import InvocationError, WorkerExtError
from ..app_state import AppState
from ..call import Result
from ..clock import Clock
from ..console import Console
from ..functions import HostedFunction
from ..invoker import Invoker
from ..storage import Storage
from .base import Trigger, TriggerEvent, TriggerServices


class TriggerRunner:
    """The triggers of the edition that is being served, and those of earlier ones that still finish what they began.

    :param invoker: runs the functions.
    :param console: shows what triggers do.
    :param clock: tells the time.
    :param state: what is kept between starts of the host.
    :param storage: the connections to storage accounts.
    """

    def __init__(self, invoker: Invoker, console: Console, clock: Clock, state: AppState, storage: Storage) -> None:
        self._invoker = invoker
        self._console = console
        self._clock = clock
        self._state = state
        self._storage = storage
        self._stopping = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def serve(self, functions: Iterable[HostedFunction]) -> None:
        """Watch for what starts these functions, and no longer for what started those before."""
        self.stop()
        self._stopping = asyncio.Event()
        for function in functions:
            if function.starter is not None:
                earlier = self._tasks.get(function.name) if function.starter.exclusive else None
                watching = self._watch(function, function.starter, self._stopping, earlier)
                task = self._tasks[function.name] = asyncio.ensure_future(watching)
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    def stop(self) -> None:
        """Watch for nothing any more. What has begun goes on: :meth:`close` waits for it."""
        self._stopping.set()

    async def close(self) -> None:
        """Stop, and wait until what has begun has ended."""
        self.stop()
        if self._ending:
            await asyncio.wait(self._ending)

    async def _watch(
        self,
        function: HostedFunction,
        trigger: Trigger,
        stopping: asyncio.Event,
        earlier: asyncio.Task[None] | None,
    ) -> None:
        """Watch, once ``earlier`` has ended, which is the function's trigger of the edition before."""
        if earlier is not None:
            await asyncio.wait([earlier])
        if stopping.is_set():
            return
        services = TriggerServices(
            run=partial(self._run, function, stopping),
            stopping=stopping,
            console=self._console,
            clock=self._clock,
            state=self._state,
            storage=self._storage,
        )
        try:
            await trigger.watch(services)
        except WorkerExtError as error:
            self._console.error(f"The trigger of {function.name} has stopped: {error}")
        except Exception as error:  # of the storage's SDK
            self._console.error(f"The trigger of {function.name} has stopped: {error!r}")

    async def _run(
        self, function: HostedFunction, stopping: asyncio.Event, event: TriggerEvent
    ) -> InvocationError | None:
        outcome = await self._invoker.run(function, event, stopping)
        return None if isinstance(outcome, Result) else outcome
