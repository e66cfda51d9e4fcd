"""One worker process, as the host sees it: its start, its calls, its end."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..errors import IndexingError, InvocationError, ProtocolError, WorkerLost
from ..invocation import LogRecord
from ..runtimes.protocol import SECRET_VARIABLE, Kind, unpack_error, unpack_json, unpack_lines
from ..transports.frames import Frame, FrameConnection
from .call import Call, unpack_failure, unpack_result

_BOOT = Path(__file__).resolve().parents[1] / "boot.py"
_POSIX = os.name == "posix"


@dataclass(frozen=True)
class WorkerCommand:
    """How workers are started.

    :param python: the app's interpreter.
    :param arguments: what goes between the interpreter and the worker's script (``--language-worker``).
    :param kind: the kind of app.
    :param script_root: the app's folder, which is the worker's working directory.
    :param environ: the worker's environment.
    """

    python: str
    arguments: Sequence[str]
    kind: str
    script_root: Path
    environ: Mapping[str, str]


class WorkerListener(Protocol):
    """Who is told what becomes of a worker process."""

    def worker_ready(self, worker: WorkerProcess, app: dict[str, Any]) -> None:
        """It has loaded the app and can take calls."""

    def worker_broken(self, worker: WorkerProcess, error: IndexingError) -> None:
        """It cannot load the app; it is ending by itself."""

    def worker_ended(self, worker: WorkerProcess, reason: str) -> None:
        """Its process has ended; its calls have been answered with :class:`WorkerLost`."""

    def worker_logged(self, function: str, records: list[LogRecord]) -> None:
        """It sent log lines of an invocation of ``function``, or of none (an empty name)."""

    def worker_printed(self, text: str) -> None:
        """It wrote a line past its log, as C libraries and crashing interpreters do."""


class WorkerProcess:
    """One worker process.

    :param command: how it is started.
    :param generation: which edition of the app it runs; grows with every reload.
    :param listener: is told what becomes of it.
    :ivar ready: whether it can take calls.
    :ivar calls: what it is running, by call number.
    """

    def __init__(self, command: WorkerCommand, generation: int, listener: WorkerListener) -> None:
        self._command = command
        self._listener = listener
        self._process: asyncio.subprocess.Process | None = None
        self._connection: FrameConnection | None = None
        self._secret = secrets.token_hex(16)
        self._number = 0
        self._watching: asyncio.Task[None] | None = None
        self._broken = False
        self.generation = generation
        self.ready = False
        self.stopping = False
        self.calls: dict[int, Call] = {}
        self.started = time.monotonic()

    @property
    def pid(self) -> int:
        """Its process id, 0 before it has one."""
        return self._process.pid if self._process else 0

    async def start(self, address: str) -> None:
        """Start the process.

        :param address: where the host listens for it.
        :raises OSError: if the interpreter cannot be run.
        """
        command = self._command
        self._process = await asyncio.create_subprocess_exec(
            command.python,
            *command.arguments,
            str(_BOOT),
            address,
            command.kind,
            str(command.script_root),
            stdin=asyncio.subprocess.PIPE,  # its lifeline: it ends when this does
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=command.script_root,
            env={**command.environ, SECRET_VARIABLE: self._secret},
            # A group of its own: Ctrl-C is the host's to handle, and what the app started can be ended with it.
            start_new_session=_POSIX,
        )
        self._watching = asyncio.create_task(self._watch(self._process))

    def recognise(self, secret: bytes) -> bool:
        """Whether this is the worker that knows ``secret``."""
        return hmac.compare_digest(secret, self._secret.encode())

    def connected(self, connection: FrameConnection) -> None:
        """Its connection has been opened and has proved itself."""
        self._connection = connection

    def invoke(self, call: Call) -> None:
        """Hand it a call.

        :raises ProtocolError: if the call is too large for a frame.
        """
        assert self._connection is not None
        self._number = number = self._number % 0xFFFFFFFF + 1
        self._connection.send(
            Kind.INVOKE, number, [call.function.encode(), call.invocation_id.encode(), *call.payload]
        )
        call.number = number
        call.started = time.monotonic()
        self.calls[number] = call

    def cancel(self, call: Call) -> None:
        """Ask it to cancel a call, which it can if the function is async."""
        if self._connection is not None and call.number in self.calls:
            self._connection.send(Kind.CANCEL, call.number, [])

    def stop(self) -> None:
        """Ask it to finish what it runs and to end."""
        self.ready = False
        self.stopping = True
        if self._connection is not None:
            self._connection.send(Kind.STOP, 0, [])
        else:
            self.kill()

    def kill(self) -> None:
        """End it at once, with everything that it started."""
        self.ready = False
        if self._process is None or self._process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if _POSIX:
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()

    async def wait(self) -> None:
        """Wait until the process has ended and everyone has been told."""
        if self._watching is not None:
            await asyncio.shield(self._watching)

    def on_frame(self, frame: Frame) -> None:
        """Handle what it sent.

        :raises ProtocolError: if it makes no sense.
        """
        kind, number, parts = frame
        if kind == Kind.RESULT:
            result, records = unpack_result(parts)
            self._answer(number, result, records)
        elif kind == Kind.FAILURE:
            failure, records = unpack_failure(parts)
            self._answer(number, failure, records)
        elif kind == Kind.LOG:
            identifier = parts[0].decode()
            function = next((call.function for call in self.calls.values() if call.invocation_id == identifier), "")
            self._listener.worker_logged(function, unpack_lines(parts[1:]))
        elif kind == Kind.READY:
            self.ready = True
            self._listener.worker_ready(self, unpack_json(parts[0]))
        elif kind == Kind.BROKEN:
            self._broken = True
            self._listener.worker_broken(self, unpack_error(unpack_json(parts[0])))
        else:
            raise ProtocolError(f"the worker sent a frame of the unknown kind {kind}")

    def _answer(self, number: int, outcome: Any, records: list[LogRecord]) -> None:
        call = self.calls.pop(number, None)
        if records:
            self._listener.worker_logged(call.function if call else "", records)
        if call is not None:
            call.answer(outcome)

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # a line longer than the reader's limit has been dropped
                continue
            if not line:
                break
            self._listener.worker_printed(line.decode(errors="replace").rstrip("\r\n"))
        status = await process.wait()
        self.ready = False
        reason = _reason(status)
        lost: InvocationError = WorkerLost(
            f"the worker process {process.pid} that ran this invocation {reason} before it answered"
        )
        calls, self.calls = list(self.calls.values()), {}
        for call in calls:
            call.answer(lost)
        self._listener.worker_ended(self, reason)


def _reason(status: int) -> str:
    if status < 0:
        try:
            return f"was ended by {signal.Signals(-status).name}"
        except ValueError:
            return f"was ended by signal {-status}"
    return f"ended with exit status {status}"


def default_python(environ: Mapping[str, str], script_root: Path) -> str:
    """The interpreter that runs an app: a setting's, the active virtual environment's, the app's own, or ours."""
    named = environ.get("languageWorkers__python__defaultExecutablePath")
    if named:
        return named
    folders = [environ.get("VIRTUAL_ENV"), str(script_root / ".venv")]
    for folder in folders:
        for candidate in ("bin/python", "Scripts/python.exe") if folder else ():
            path = Path(str(folder)) / candidate
            if path.is_file():
                return str(path)
    return sys.executable
