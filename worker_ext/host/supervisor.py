"""Keeps the app's worker processes running and gives them the calls.

A worker that dies fails only what it was running. It is replaced after a pause that grows while workers keep dying;
calls that come meanwhile wait, within limits. A reload brings up workers of the new edition first and lets the old
ones finish, so that no call fails for it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..errors import FunctionTimeout, IndexingError, InvocationError, ProtocolError, WorkerBusy
from ..invocation import LogRecord
from ..runtimes.protocol import Kind
from ..transports.frames import Frame, FrameConnection
from ..transports.local_socket import Listener, listen
from .call import Call
from .console import Console
from .worker_process import WorkerCommand, WorkerProcess


@dataclass(frozen=True)
class Policy:
    """Limits of number and time.

    :ivar processes: how many workers run at a time, or may.
    :ivar least: how many run at all times; the others are started when calls wait. ``None`` for all of them.
    :ivar idle_time: seconds after which a worker that is not needed at all times, and has nothing to do, ends.
    :ivar one_at_a_time: whether a worker is given a call only when it has none, and the others wait.
    :ivar function_timeout: seconds that one invocation may take; ``None`` for no limit.
    :ivar waiting_calls: how many calls may wait for a worker.
    :ivar waiting_time: seconds that a call may wait for a worker.
    :ivar connect_timeout: seconds that a worker has to connect to the host, before it runs any code of the app.
    :ivar cancel_grace: seconds that a function has to end after it has been cancelled for its time.
    :ivar exit_grace: seconds that a worker has to end when it has been told to and runs nothing any more.
    :ivar stop_grace: seconds that running calls have when the host stops.
    :ivar backoff: seconds before a dead worker is replaced: the first pause and the longest.
    :ivar steady: seconds after which a worker counts as healthy, even if it has answered no call, and the next pause
        is the first again.
    """

    processes: int = 1
    least: int | None = None
    idle_time: float = math.inf
    one_at_a_time: bool = False
    function_timeout: float | None = 1800.0
    waiting_calls: int = 1000
    waiting_time: float = 30.0
    connect_timeout: float = 20.0
    cancel_grace: float = 1.0
    exit_grace: float = 3.0
    stop_grace: float = 10.0
    backoff: tuple[float, float] = (0.25, 30.0)
    steady: float = 10.0


class AppListener(Protocol):
    """Who is told which edition of the app is being served."""

    def app_loaded(self, app: dict[str, Any]) -> None:
        """An edition of the app has been loaded and serves from now on."""

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        """An edition cannot be loaded; ``still_serving`` says whether the one before it goes on."""

    def app_deadly(self, reason: str) -> None:
        """A worker has ended while it was loading an edition that nobody has loaded yet; told once for an edition.

        Others go on trying.

        :param reason: how it ended, for people.
        """

    def call_logged(self, call: Call, records: list[LogRecord]) -> None:
        """Log lines of a call have come, and have been shown."""


class Supervisor:
    """The app's worker processes and the calls that wait for one.

    Every event leads to :meth:`_staff`, which compares the workers that there are with those that there should be.
    What has a limit of time is looked after by one timer, :meth:`_sweep`.

    :param command: makes the command of a worker; asked anew at every start, as settings may have changed.
    :param policy: limits of number and time.
    :param console: told of starts and ends, and of what workers write.
    :param listener: told which edition is being served.
    """

    def __init__(
        self, command: Callable[[], WorkerCommand], policy: Policy, console: Console, listener: AppListener
    ) -> None:
        self._command = command
        self._policy = policy
        self._console = console
        self._listener = listener
        self._workers: list[WorkerProcess] = []
        self._waiting: deque[Call] = deque()
        self._generation = 1  # the edition of the app that lies in its folder
        self._serving = 0  # the edition that is being served, or has been last
        self._broken: IndexingError | None = None  # why the edition in the folder cannot be loaded
        self._deadly = 0  # the edition of which has been told that it ends workers
        self._pause = 0.0
        self._restart: asyncio.TimerHandle | None = None
        self._turn = 0
        self._socket: Listener | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._recording = False

    async def start(self) -> None:
        """Open the socket and start the workers."""
        self._socket = await listen(lambda: FrameConnection(self._introduce, self._disconnected))
        self._staff()
        self._sweep()

    def submit(self, call: Call) -> None:
        """Have a call run as soon as a worker can take it; ``call.answer`` will tell how it ended."""
        call.since = time.monotonic()
        worker = None if self._waiting else self._next_worker()
        if worker is not None:
            self._give(worker, call)
        elif self._closing:
            call.answer(WorkerBusy("the host is stopping"))
        elif self._broken is not None:
            call.answer(WorkerBusy(f"the function app cannot be loaded: {self._broken}"))
        elif len(self._waiting) >= self._policy.waiting_calls:
            call.answer(WorkerBusy(f"{len(self._waiting)} invocations are waiting for a worker already"))
        else:
            self._waiting.append(call)
            self._staff()

    def reload(self, policy: Policy) -> None:
        """Load the app anew; the edition that is being served goes on until the new one can take over.

        :param policy: the limits from now on.
        """
        self._policy = policy
        self._generation += 1
        self._broken = None
        self._pause = 0.0
        if self._restart is not None:
            self._restart.cancel()
            self._restart = None
        for worker in self._workers:
            # One that is still loading loads what nobody will see; one in a debugger has the debugger's port.
            if not worker.ready or worker.debugged:
                worker.stop()
        self._staff()

    def kill(self) -> None:
        """End every worker at once; their calls are answered with :class:`WorkerLost`."""
        for worker in self._workers:
            worker.kill()

    async def close(self) -> None:
        """Let running calls finish within their grace, end every worker, answer whoever still waits."""
        self._closing = True
        self._fail_waiting("the host is stopping")
        if self._restart is not None:
            self._restart.cancel()
        for worker in self._workers:
            worker.stop()
        everyone = asyncio.gather(*(worker.wait() for worker in self._workers))
        try:
            await asyncio.wait_for(asyncio.shield(everyone), self._policy.stop_grace)
        except TimeoutError:
            self._console.warning(f"{self.running} running invocations did not finish in time and are being ended.")
            self.kill()
            await everyone
        if self._timer is not None:
            self._timer.cancel()
        if self._socket is not None:
            self._socket.close()

    def record_timelines(self) -> None:
        """From now on have the workers measure the steps of each invocation (:attr:`Call.timeline`)."""
        self._recording = True
        for worker in self._workers:
            worker.record_timelines()

    @property
    def serving(self) -> list[WorkerProcess]:
        """The workers that can take calls."""
        return [worker for worker in self._workers if worker.ready]

    @property
    def running(self) -> int:
        """How many calls are running or waiting."""
        return len(self._waiting) + sum(worker.unanswered for worker in self._workers)

    # What a worker process tells (WorkerListener)

    def worker_ready(self, worker: WorkerProcess, app: dict[str, Any]) -> None:
        """Take a worker into service; the first of its generation brings its edition into service."""
        self._console.info("Worker process started and initialized.")
        if self._recording:
            worker.record_timelines()
        self._broken = None
        if self._serving != worker.generation:
            self._listener.app_loaded(app)
            self._serving = worker.generation
            for other in self._workers:
                if other.generation != worker.generation:
                    other.stop()
        self._feed()
        self._staff()

    def worker_answered(self, worker: WorkerProcess) -> None:
        """Give it what waits, if it is free again."""
        if self._waiting:
            self._feed()
        elif not worker.calls:
            worker.idle_since = time.monotonic()

    def worker_broken(self, worker: WorkerProcess, error: IndexingError) -> None:
        """Stay with the edition that works, if there is one; an edit of the app will try again."""
        if self._serving == self._generation:
            self._console.error(str(error))  # it could be loaded before: what it lacks may come back
            return
        worker.stopping = True
        if self._broken is None:
            self._broken = error
            self._tell_broken(error)

    def worker_ended(self, worker: WorkerProcess, reason: str) -> None:
        """Replace a worker that has ended by itself."""
        self._workers.remove(worker)
        named = f"Worker process {worker.pid} {reason}" if worker.pid else f"A worker process {reason}"
        if worker.stopping or self._closing:
            self._console.detail(f"{named}.")
            self._staff()
        elif worker.generation == self._generation:
            self._back_off(worker)
            named += " while it was loading the app" if worker.loading else ""
            self._console.error(f"{named}; a new one starts in {self._pause:g} s.")
            if worker.loading and self._generation not in (self._serving, self._deadly):
                self._deadly = self._generation
                self._listener.app_deadly(f"{named}.")
        else:
            self._console.error(f"{named}.")
            if self._broken is not None and not self.serving:
                self._tell_broken(self._broken)

    def worker_logged(self, call: Call | None, records: list[LogRecord]) -> None:
        """Show what user code wrote."""
        self._console.records(call.function if call is not None else "", records)
        if call is not None:
            self._listener.call_logged(call, records)

    def worker_printed(self, text: str) -> None:
        """Show what a worker wrote past its log."""
        self._console.printed(text)

    # Workers

    def _staff(self) -> None:
        """Start the workers that are missing, unless that must wait: for a pause, an edit, or a debugger's port."""
        if self._closing or self._restart is not None or self._broken is not None:
            return
        there = sum(worker.generation == self._generation and not worker.stopping for worker in self._workers)
        wanted = self._wanted
        if there >= wanted:
            return
        command = self._command()
        if command.debugged and any(worker.stopping for worker in self._workers):
            return
        assert self._socket is not None
        for _ in range(there, wanted):
            worker = WorkerProcess(command, self._generation, self)
            self._workers.append(worker)
            worker.start(self._socket.address)

    @property
    def _wanted(self) -> int:
        """How many workers there should be: one at least to load an edition of the app that nobody has loaded yet."""
        policy = self._policy
        if policy.least is None:
            return policy.processes
        busy = sum(bool(worker.calls) for worker in self._workers)
        return min(policy.processes, max(policy.least, self._serving != self._generation, busy + len(self._waiting)))

    def _back_off(self, worker: WorkerProcess) -> None:
        """Have a pause before the next start. Workers that die during one pause are replaced together."""
        if self._restart is not None:
            return
        if worker.has_answered or time.monotonic() - worker.started > self._policy.steady:
            self._pause = 0.0
        first, longest = self._policy.backoff
        self._pause = min(max(first, self._pause * 2), longest)
        self._restart = asyncio.get_running_loop().call_later(self._pause, self._resume)

    def _resume(self) -> None:
        self._restart = None
        self._staff()

    def _tell_broken(self, error: IndexingError) -> None:
        self._listener.app_broken(error, still_serving=bool(self.serving))
        if not self.serving:
            self._fail_waiting(f"the function app cannot be loaded: {error}")

    def _introduce(self, connection: FrameConnection, frame: Frame) -> None:
        """Handle the first frame of a connection: it must prove which worker it is."""
        secret = frame.parts[0] if frame.kind == Kind.HELLO and frame.parts else b""
        if not secret or not any(worker.accept(connection, secret) for worker in self._workers):
            raise ProtocolError("a connection did not prove that it is a worker's")

    def _disconnected(self, connection: FrameConnection, error: Exception | None) -> None:
        for worker in self._workers:
            worker.disconnected(connection, error)

    # Calls

    def _next_worker(self) -> WorkerProcess | None:
        """The ready worker with the least to do; among equals, each in turn. An idle one, if each runs one call."""
        if self._policy.one_at_a_time:
            return next((worker for worker in self._workers if worker.ready and not worker.calls), None)
        ready = [worker for worker in self._workers if worker.ready] if len(self._workers) > 1 else self._workers
        if len(ready) == 1:
            return ready[0] if ready[0].ready else None
        self._turn += 1
        order = (ready[(self._turn + i) % len(ready)] for i in range(len(ready)))
        return min(order, key=lambda worker: len(worker.calls), default=None)

    def _give(self, worker: WorkerProcess, call: Call) -> None:
        try:
            worker.invoke(call)
        except ProtocolError as error:
            call.answer(InvocationError(error.message))

    def _feed(self) -> None:
        """Give what waits to workers that can take it."""
        while self._waiting and (worker := self._next_worker()) is not None:
            self._give(worker, self._waiting.popleft())

    def _fail_waiting(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft().answer(WorkerBusy(reason))

    # Limits of time

    def _sweep(self) -> None:
        """Look after all limits of time."""
        policy = self._policy
        interval = min(0.25, (policy.function_timeout or 1.0) / 4, policy.cancel_grace)
        self._timer = asyncio.get_running_loop().call_later(interval, self._sweep)
        now = time.monotonic()
        while self._waiting and now - self._waiting[0].since > policy.waiting_time:
            self._waiting.popleft().answer(WorkerBusy(f"no worker became ready within {policy.waiting_time:g} s"))
        for worker in list(self._workers):
            if policy.function_timeout is not None:
                self._time_out(worker, now, policy.function_timeout)
            if worker.stopping:
                if worker.unanswered:
                    worker.idle_since = now
                elif now - worker.idle_since > policy.exit_grace:
                    worker.kill()
            elif worker.ready and not worker.calls and now - worker.idle_since > policy.idle_time:
                self._dismiss(worker)
            elif not worker.connected and not worker.debugged and now - worker.started > policy.connect_timeout:
                worker.kill(f"did not connect to the host within {policy.connect_timeout:g} s and was ended")

    def _dismiss(self, worker: WorkerProcess) -> None:
        """End a worker that has been idle for long, if there are more than are needed."""
        there = sum(other.generation == self._generation and not other.stopping for other in self._workers)
        if there > self._wanted:
            self._console.detail(f"Worker process {worker.pid} has been idle and ends.")
            worker.stop()

    def _time_out(self, worker: WorkerProcess, now: float, limit: float) -> None:
        """Answer calls whose time is up; replace a worker whose functions go on nevertheless.

        A thread, or a loop that user code blocks, cannot be interrupted. The worker's other calls keep their time.
        """
        stuck: set[str] = set()
        for call in list(worker.calls.values()):
            overdue = now - call.started - limit
            if overdue < 0:
                break  # so are those behind it: the oldest come first
            if not call.answered:
                late = f"{call.function} did not finish within the functionTimeout of {limit:g} s"
                call.answer(FunctionTimeout(late))
                worker.cancel(call)
            elif overdue > self._policy.cancel_grace:
                stuck.add(call.function)
        if stuck and not worker.stopping:
            names = ", ".join(sorted(stuck))
            self._console.warning(f"{names} cannot be interrupted; worker process {worker.pid} is being replaced.")
            worker.stop()
            self._staff()
        if stuck and not worker.unanswered:
            worker.kill()
