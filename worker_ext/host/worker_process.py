"""One worker process, as the host sees it: its start, its calls, its end."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import signal
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..errors import IndexingError, ProtocolError, WorkerLost
from ..invocation import LogRecord
from ..runtimes.protocol import (
    SECRET_VARIABLE,
    Kind,
    unpack_error,
    unpack_health,
    unpack_json,
    unpack_lines,
    unpack_timeline,
)
from ..transports.frames import Frame, FrameConnection
from .call import Call, unpack_failure, unpack_result
from .child_process import ChildProcess
from .standby import BOOT, Standby

_NO_PYTHON = "Make a new .venv in the app's folder, or set languageWorkers__python__defaultExecutablePath."

_DECODERS: Mapping[int, Callable[[list[bytes]], Any]] = {
    Kind.RESULT: unpack_result,
    Kind.FAILURE: unpack_failure,
    Kind.LOG: lambda parts: (parts[0].decode(), unpack_lines(parts[1:])),
    Kind.TIMELINE: lambda parts: unpack_timeline(parts[0]),
    Kind.HEALTH: lambda parts: unpack_health(parts[0]),
    Kind.READY: lambda parts: unpack_json(parts[0]),
    Kind.BROKEN: lambda parts: unpack_error(unpack_json(parts[0])),
}
"""What a worker may send once it is connected."""

_NONSENSE = (LookupError, TypeError, ValueError, AttributeError, struct.error)
"""What decoding raises if the other side does not follow the protocol."""

DISCONNECTED_GRACE = 1.0
"""Seconds that a worker has to end by itself after its connection has been lost."""


LAST_WORDS = 0.1
"""Seconds in which what a process sent before its end is still read, if its connection does not end with it."""


def deadly(code: str, *hints: str) -> str:
    """What people are told of code that has ended the process that was loading it, besides how that ended.

    :param code: which code.
    :param hints: what else they can do, a line each.
    """
    told = f"{code}, or a package that it imports, has ended the process. What it wrote last is above."
    return "\n".join(f"  {line}" for line in (told, *hints, "An edit of it starts a new process at once."))


@dataclass(frozen=True)
class WorkerCommand:
    """How workers are started.

    :param python: the app's interpreter.
    :param arguments: what goes between the interpreter and the worker's script (``--language-worker``).
    :param kind: the kind of app.
    :param script_root: the app's folder, which is the worker's working directory.
    :param environ: the worker's environment.
    :param standby: a process that may have been started for this already.
    """

    python: str
    arguments: Sequence[str]
    kind: str
    script_root: Path
    environ: Mapping[str, str]
    standby: Standby | None = None

    @property
    def debugged(self) -> bool:
        """Whether the worker may be in a debugger: then it may wait for somebody, on a port that no other can have."""
        return bool(self.arguments)


class WorkerListener(Protocol):
    """Who is told what becomes of a worker process."""

    def worker_ready(self, worker: WorkerProcess, app: dict[str, Any]) -> None:
        """It has loaded the app and can take calls."""

    def worker_answered(self, worker: WorkerProcess) -> None:
        """It has answered a call."""

    def worker_broken(self, worker: WorkerProcess, error: IndexingError) -> None:
        """It cannot load the app; it is ending by itself."""

    def worker_ended(self, worker: WorkerProcess, reason: str) -> None:
        """It has ended, or cannot be started; its calls have been answered with :class:`WorkerLost`."""

    def worker_logged(self, call: Call | None, records: list[LogRecord]) -> None:
        """It sent log lines of an invocation, or of none."""

    def worker_printed(self, text: str) -> None:
        """It wrote a line past its log, as C libraries and crashing interpreters do."""


class WorkerProcess:
    """One worker process.

    :param command: how it is started.
    :param generation: which edition of the app it runs; grows with every reload.
    :param listener: is told what becomes of it.
    :ivar ready: whether it can take calls.
    :ivar stopping: whether it has been told to end, or is ending by itself.
    :ivar calls: what it is running, by call number, the oldest first.
    :ivar has_answered: whether it had answered a call when it ended.
    :ivar started: when it was started, as ``time.monotonic`` tells it.
    :ivar idle_since: since when it has had nothing to answer; kept by the supervisor.
    """

    def __init__(self, command: WorkerCommand, generation: int, listener: WorkerListener) -> None:
        self._command = command
        self._listener = listener
        self._process = ChildProcess(listener.worker_printed, self._process_ended)
        self._connection: FrameConnection | None = None
        self._secret = secrets.token_hex(16)
        self._number = 0
        self._loaded = False
        self._streams = ""  # where it takes streamed requests
        self._reason = ""
        self._status = 0  # how the process has ended
        self._lost = False  # the connection, which has been read to its end
        self._last_words: asyncio.TimerHandle | None = None  # once the process has ended, until that is told
        self._starting: asyncio.Task[None] | None = None
        self._ended = asyncio.Event()
        self._health: asyncio.Future[list[tuple[str, str]] | None] | None = None  # while an answer is under way
        self.generation = generation
        self.ready = False
        self.stopping = False
        self.has_answered = False
        self.calls: dict[int, Call] = {}
        self.started = self.idle_since = time.monotonic()

    @property
    def pid(self) -> int:
        """Its process id, 0 before it has one."""
        return self._process.pid

    @property
    def connected(self) -> bool:
        """Whether it has connected to the host."""
        return self._connection is not None

    @property
    def loading(self) -> bool:
        """Whether it runs and has not yet told what became of the app; an end by itself is the doing of its code."""
        return self.pid != 0 and not self._loaded and not self._reason

    @property
    def debugged(self) -> bool:
        """See :attr:`WorkerCommand.debugged`."""
        return self._command.debugged

    @property
    def unanswered(self) -> int:
        """How many of its calls somebody still waits for."""
        return sum(not call.answered for call in self.calls.values())

    def start(self, address: str) -> None:
        """Start the process; the listener will be told what becomes of it.

        :param address: where the host listens for it.
        """
        self._starting = asyncio.ensure_future(self._start(address))

    async def _start(self, address: str) -> None:
        command = self._command
        try:
            self._run(command, address)
        except OSError as error:
            self._listener.worker_printed(f"{command.python} cannot be run: {error.strerror or error}\n  {_NO_PYTHON}")
            self._reason = "cannot be started"
            self._end()
            return
        if self.stopping:  # meanwhile
            self.kill()

    def _run(self, command: WorkerCommand, address: str) -> None:
        environ = {**command.environ, SECRET_VARIABLE: self._secret}
        kind, root = command.kind, command.script_root
        if command.standby is not None:
            process = command.standby.take(
                address, kind, root, python=command.python, arguments=command.arguments, environ=environ
            )
            if process is not None:
                self._process.adopt(process)
                return
        words = (command.python, *command.arguments, str(BOOT), address, kind, str(root))
        self._process.start(words, cwd=root, environ=environ)

    def accept(self, connection: FrameConnection, secret: bytes) -> bool:
        """Take ``connection`` for this worker's, if ``secret`` proves that and it has none yet."""
        if self._connection is not None or not hmac.compare_digest(secret, self._secret.encode()):
            return False
        self._connection = connection
        connection.on_frame = self.on_frame
        return True

    def disconnected(self, connection: FrameConnection, error: Exception | None) -> None:
        """Take no more calls if it is this worker's connection that has been lost.

        A process without a connection is of no use. It ends by itself when it notices; one that sent nonsense, or
        does not notice because user code blocks it, is ended by force.
        """
        if connection is not self._connection:
            return
        self.ready = False
        self._lost = True
        if self._last_words is not None:
            self._last_words.cancel()
            self._end()
        elif isinstance(error, ProtocolError):
            self.kill(f"was ended, because it sent what makes no sense: {error}")
        elif not self.stopping:
            asyncio.get_running_loop().call_later(DISCONNECTED_GRACE, self.kill)

    def invoke(self, call: Call) -> None:
        """Hand it a call.

        :raises ProtocolError: if the call is too large for a frame.
        """
        assert self._connection is not None
        self._number = number = self._number % 0xFFFFFFFF + 1
        self._connection.send(Kind.INVOKE, number, [call.function.encode(), call.invocation_id.encode(), *call.payload])
        call.payload = []  # it can be large, and is not needed any more
        call.number = number
        call.started = time.monotonic()
        self.calls[number] = call
        if call.begun is not None:
            call.begun(call, self._streams, partial(self.cancel, call))

    def cancel(self, call: Call) -> None:
        """Ask it to cancel a call, which it can if the function is async."""
        if self._connection is not None and call.number in self.calls:
            self._connection.send(Kind.CANCEL, call.number, [])

    def record_timelines(self) -> None:
        """Ask it to tell the steps of each invocation."""
        if self.ready and self._connection is not None:
            self._connection.send(Kind.RECORD, 0, [])

    async def health(self) -> list[tuple[str, str]]:
        """Ask which of its extensions cannot do their work, and why; who asks meanwhile waits for the same answer.

        :raises WorkerLost: if it has no connection, or ends before it answers.
        """
        if self._connection is None or not self.ready:
            raise WorkerLost("it does not serve any more")
        if self._health is None:
            self._health = asyncio.get_running_loop().create_future()
            self._connection.send(Kind.HEALTH, 0, [])
        answer = await asyncio.shield(self._health)
        if answer is None:
            raise WorkerLost("it ended before it answered")
        return answer

    def _tell_health(self, answer: list[tuple[str, str]] | None) -> None:
        waiting, self._health = self._health, None
        if waiting is not None:
            waiting.set_result(answer)

    def stop(self) -> None:
        """Ask it to finish what it runs and to end. Before it is ready there is nothing to finish: it ends at once."""
        if self.stopping:
            return
        ready, self.ready = self.ready, False
        self.stopping = True
        self.idle_since = time.monotonic()
        if ready and self._connection is not None:
            self._connection.send(Kind.STOP, 0, [])
        else:
            self.kill()

    def kill(self, reason: str = "") -> None:
        """End it at once, with everything that it started.

        :param reason: what to tell people instead of how the process ended.
        """
        self.ready = False
        self._reason = self._reason or reason
        self._process.kill()

    async def wait(self) -> None:
        """Wait until the process has ended and everyone has been told."""
        await self._ended.wait()

    def on_frame(self, _connection: FrameConnection, frame: Frame) -> None:
        """Handle what it sent.

        :raises ProtocolError: if it makes no sense.
        """
        kind, number, parts = frame
        try:
            message = _DECODERS[kind](parts)
        except _NONSENSE as error:
            raise ProtocolError(f"a message of the kind {kind} cannot be decoded: {error!r}") from None
        if kind == Kind.RESULT or kind == Kind.FAILURE:
            outcome, records = message
            call = self.calls.pop(number, None)
            if records:
                self._listener.worker_logged(call, records)
            if call is not None:
                call.answer(outcome)
                self._listener.worker_answered(self)
        elif kind == Kind.LOG:
            identifier, records = message
            owner = next((call for call in self.calls.values() if call.invocation_id == identifier), None)
            self._listener.worker_logged(owner, records)
        elif kind == Kind.TIMELINE:
            if number in self.calls:
                self.calls[number].timeline = message
        elif kind == Kind.HEALTH:
            self._tell_health(message)
        elif self._loaded:
            raise ProtocolError(f"a message of the kind {kind} came twice")
        else:
            self._loaded = True
            self._on_loaded(kind, message)

    def _on_loaded(self, kind: int, message: Any) -> None:
        if self.stopping:
            return
        if kind == Kind.READY and self._last_words is not None:
            return  # it has ended already
        if kind == Kind.READY:
            self.ready = True
            self._streams = str(message.get("streams", ""))
            self._listener.worker_ready(self, message)
        else:
            self._reason = "could not load the app"
            self.idle_since = time.monotonic()
            self._listener.worker_broken(self, message)

    def _process_ended(self, status: int) -> None:
        """Read what it sent last: that it has ended can be seen before that."""
        self.ready = False
        self._status = status
        if self._lost:
            self._end()
        else:  # it may not even have been accepted, or a child of the process keeps it open
            self._last_words = asyncio.get_running_loop().call_later(LAST_WORDS, self._end)

    def _end(self) -> None:
        self.ready = False
        self._last_words = None
        reason = self._reason or _describe(self._status)
        calls, self.calls = list(self.calls.values()), {}
        self.has_answered = self._number > len(calls)
        lost = f"the worker process {self.pid} that ran this invocation {reason} before it answered"
        for call in calls:
            call.answer(WorkerLost(lost))
        self._tell_health(None)
        self._ended.set()
        self._listener.worker_ended(self, reason)


def _describe(status: int) -> str:
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with exit status {status}"
