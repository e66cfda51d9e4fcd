"""Keeps the app's worker processes running and gives them the calls.

A worker that dies fails only what it was running. It is replaced after a pause that grows while workers keep dying;
calls that come meanwhile wait, within limits. A reload brings up workers of the new edition first and lets the old
ones finish, so that no call fails for it.
"""

from __future__ import annotations

import asyncio
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

    :ivar processes: how many workers run at a time.
    :ivar function_timeout: seconds that one invocation may take; ``None`` for no limit.
    :ivar waiting_calls: how many calls may wait for a worker.
    :ivar waiting_time: seconds that a call may wait for a worker.
    :ivar cancel_grace: seconds that a function has to end after it has been cancelled for its time.
    :ivar retire_grace: seconds that a worker with a function that cannot be interrupted has for its other calls.
    :ivar stop_grace: seconds that running calls have when the host stops.
    :ivar backoff: seconds before a dead worker is replaced: the first pause and the longest.
    :ivar steady: seconds after which a worker counts as healthy and the next pause is the first again.
    """

    processes: int = 1
    function_timeout: float | None = 1800.0
    waiting_calls: int = 1000
    waiting_time: float = 30.0
    cancel_grace: float = 1.0
    retire_grace: float = 10.0
    stop_grace: float = 10.0
    backoff: tuple[float, float] = (0.25, 30.0)
    steady: float = 60.0


class AppListener(Protocol):
    """Who is told which edition of the app is being served."""

    def app_loaded(self, app: dict[str, Any], *, reloaded: bool) -> None:
        """An edition of the app has been loaded and serves from now on."""

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        """An edition cannot be loaded; ``still_serving`` says whether the one before it goes on."""


class Supervisor:
    """The app's worker processes and the calls that wait for one.

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
        self._broken: IndexingError | None = None
        self._generation = 1
        self._serving = 0  # the generation that has been announced
        self._pause = 0.0
        self._turn = 0
        self._socket: Listener | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def start(self) -> None:
        """Open the socket and start the workers."""
        self._socket = await listen(lambda: FrameConnection(self._introduce, _ignore))
        for _ in range(self._policy.processes):
            self._launch(self._generation)
        self._spawn(self._sweep())

    def submit(self, call: Call) -> None:
        """Have a call run as soon as a worker can take it; ``call.answer`` will tell how it ended."""
        call.since = time.monotonic()
        worker = self._next_worker()
        if worker is not None:
            self._give(worker, call)
        elif self._broken is not None:
            call.answer(WorkerBusy(f"the function app cannot be loaded: {self._broken}"))
        elif len(self._waiting) >= self._policy.waiting_calls:
            call.answer(WorkerBusy(f"{len(self._waiting)} invocations are waiting for a worker already"))
        else:
            self._waiting.append(call)

    def cancel(self, call: Call) -> None:
        """Cancel a call that nobody wants any more, if its function can be."""
        for worker in self._workers:
            if worker.calls.get(call.number) is call:
                worker.cancel(call)

    def reload(self) -> None:
        """Load the app anew; the edition that is being served goes on until the new one can take over."""
        self._generation += 1
        self._broken = None
        self._pause = 0.0
        for worker in self._workers:
            if not worker.ready and not worker.stopping:
                worker.kill()  # it was still loading an edition that nobody will see
        for _ in range(self._policy.processes):
            self._launch(self._generation)

    def kill(self) -> None:
        """End every worker at once; their calls are answered with :class:`WorkerLost`."""
        for worker in self._workers:
            worker.kill()

    async def close(self) -> None:
        """Let running calls finish within their grace, end every worker, answer whoever still waits."""
        if self._closing:
            return
        self._closing = True
        self._fail_waiting("the host is stopping")
        for worker in self._workers:
            worker.stop()
        ends = [asyncio.ensure_future(worker.wait()) for worker in self._workers]
        if ends:
            _, late = await asyncio.wait(ends, timeout=self._policy.stop_grace)
            if late:
                running = sum(len(worker.calls) for worker in self._workers)
                self._console.warning(f"{running} running invocations did not finish in time and are being ended")
            self.kill()
            await asyncio.gather(*ends)
        for task in self._tasks:
            task.cancel()
        if self._socket is not None:
            self._socket.close()

    @property
    def running(self) -> int:
        """How many calls are running or waiting."""
        return len(self._waiting) + sum(len(worker.calls) for worker in self._workers)

    # What a worker process tells (WorkerListener)

    def worker_ready(self, worker: WorkerProcess, app: dict[str, Any]) -> None:
        """Take a worker into service; the first of its generation brings its edition into service."""
        if worker.generation != self._generation:
            worker.stop()
            return
        self._console.info("Worker process started and initialized.")
        self._broken = None
        if self._serving != worker.generation:
            reloaded, self._serving = self._serving != 0, worker.generation
            self._listener.app_loaded(app, reloaded=reloaded)
            for other in self._workers:
                if other.generation != worker.generation and not other.stopping:
                    other.stop()
        while self._waiting and worker.ready:
            self._give(worker, self._waiting.popleft())

    def worker_broken(self, worker: WorkerProcess, error: IndexingError) -> None:
        """Stay with the edition that works, if there is one; an edit of the app will try again."""
        worker.stopping = True
        if worker.generation != self._generation or self._broken is not None:
            return
        self._broken = error
        still_serving = any(other.ready for other in self._workers)
        self._listener.app_broken(error, still_serving=still_serving)
        if not still_serving:
            self._fail_waiting(f"the function app cannot be loaded: {error}")

    def worker_ended(self, worker: WorkerProcess, reason: str) -> None:
        """Replace a worker that has ended by itself."""
        self._workers.remove(worker)
        self._console.detail(f"Worker process {worker.pid} {reason}.")
        if worker.stopping or self._closing:
            return
        if time.monotonic() - worker.started > self._policy.steady:
            self._pause = 0.0
        first, longest = self._policy.backoff
        self._pause = min(max(first, self._pause * 2), longest)
        self._console.error(f"Worker process {worker.pid} {reason}; a new one starts in {self._pause:g} s.")
        self._spawn(self._relaunch(self._pause))

    def worker_logged(self, function: str, records: list[LogRecord]) -> None:
        """Show what user code wrote."""
        self._console.records(function, records)

    def worker_printed(self, text: str) -> None:
        """Show what a worker wrote past its log."""
        self._console.info(text)

    def _launch(self, generation: int) -> None:
        worker = WorkerProcess(self._command(), generation, self)
        self._workers.append(worker)
        self._spawn(self._start(worker))

    async def _start(self, worker: WorkerProcess) -> None:
        assert self._socket is not None
        try:
            await worker.start(self._socket.address)
        except OSError as error:
            self._workers.remove(worker)
            failure = IndexingError(
                f"the app's Python cannot be run: {error}",
                hint="Set languageWorkers__python__defaultExecutablePath, or make a .venv in the app's folder.",
            )
            self.worker_broken(worker, failure)

    async def _relaunch(self, pause: float) -> None:
        await asyncio.sleep(pause)
        running = sum(1 for worker in self._workers if worker.generation == self._generation and not worker.stopping)
        if running < self._policy.processes and not self._closing:
            self._launch(self._generation)

    def _next_worker(self) -> WorkerProcess | None:
        """The ready worker with the least to do; among equals, each in turn."""
        ready = [worker for worker in self._workers if worker.ready] if len(self._workers) > 1 else self._workers
        if len(ready) == 1:
            return ready[0] if ready[0].ready else None
        self._turn += 1
        order = (ready[(self._turn + i) % len(ready)] for i in range(len(ready)))
        return min(order, key=lambda worker: len(worker.calls), default=None)

    def _give(self, worker: WorkerProcess, call: Call) -> None:
        if call.answered:
            return
        try:
            worker.invoke(call)
        except ProtocolError as error:
            call.answer(InvocationError(error.message))

    def _fail_waiting(self, reason: str) -> None:
        while self._waiting:
            self._waiting.popleft().answer(WorkerBusy(reason))

    async def _sweep(self) -> None:
        """Answer calls whose time is up. One timer serves all: each kind of call has one limit, oldest first."""
        while True:
            await asyncio.sleep(min(0.25, (self._policy.function_timeout or 1.0) / 4))
            now = time.monotonic()
            while self._waiting and now - self._waiting[0].since > self._policy.waiting_time:
                waited = f"no worker became ready within {self._policy.waiting_time:g} s"
                self._waiting.popleft().answer(WorkerBusy(waited))
            if self._policy.function_timeout is not None:
                for worker in list(self._workers):
                    self._time_out(worker, now - self._policy.function_timeout)

    def _time_out(self, worker: WorkerProcess, before: float) -> None:
        overdue = [call for call in worker.calls.values() if call.started <= before and not call.answered]
        for call in overdue:
            limit = self._policy.function_timeout
            call.answer(FunctionTimeout(f"{call.function} did not finish within the functionTimeout of {limit:g} s"))
            worker.cancel(call)
        if overdue:
            self._spawn(self._replace_if_stuck(worker, overdue))

    async def _replace_if_stuck(self, worker: WorkerProcess, overdue: list[Call]) -> None:
        """Replace a worker whose function goes on after its time: a thread or a blocked loop cannot be interrupted."""
        await asyncio.sleep(self._policy.cancel_grace)
        if not any(worker.calls.get(call.number) is call for call in overdue):
            return
        names = ", ".join(sorted({call.function for call in overdue}))
        self._console.warning(f"{names} cannot be interrupted; worker process {worker.pid} is being replaced.")
        if not worker.stopping:
            worker.stop()
            self._launch(self._generation)
        deadline = time.monotonic() + self._policy.retire_grace
        while time.monotonic() < deadline and any(not call.answered for call in worker.calls.values()):
            await asyncio.sleep(0.05)
        worker.kill()

    def _introduce(self, connection: FrameConnection, frame: Frame) -> None:
        """Handle the first frame of a connection: it must prove which worker it is."""
        if frame.kind == Kind.HELLO and frame.parts:
            for worker in self._workers:
                if worker.recognise(frame.parts[0]):
                    worker.connected(connection)
                    connection.on_frame = lambda _, frame: worker.on_frame(frame)
                    return
        raise ProtocolError("a connection did not prove that it is a worker's")

    def _spawn(self, coroutine: Any) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _ignore(_connection: FrameConnection, _error: Exception | None) -> None:
    """A worker whose connection is lost ends; its process is what is watched."""
