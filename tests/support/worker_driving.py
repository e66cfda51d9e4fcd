"""A real worker process, driven by a test instead of a host: over a real socket, with the protocol's own frames."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import worker_ext
from worker_ext.errors import IndexingError
from worker_ext.invocation import LogRecord
from worker_ext.runtimes.azure.http_payload import decode_response, encode_request
from worker_ext.runtimes.protocol import (
    COUNT,
    RESULT_HEAD,
    SECRET_VARIABLE,
    Kind,
    unpack_error,
    unpack_json,
    unpack_lines,
)
from worker_ext.transports.frames import Decoder, Frame, encode

BOOT = Path(worker_ext.__file__).with_name("boot.py")
LoadBroken = Callable[..., IndexingError]
"""Loads an app that cannot be loaded; takes its files and what :func:`driven_worker` takes."""

DEADLINE = 20.0  # seconds that anything may take before a test gives up on it


@dataclass
class Result:
    """A RESULT frame.

    :ivar outputs: binding name → (kind, data).
    :ivar lines: the log lines of the invocation: on a busy machine some come ahead of it.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    outputs: dict[str, tuple[str, bytes]]
    lines: list[LogRecord]

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Failure:
    """A FAILURE frame."""

    kind: str
    message: str
    traceback: str
    lines: list[LogRecord]


@dataclass
class DrivenWorker:
    """A worker process and the host's end of its connection.

    :ivar hello: what it said of itself.
    :ivar app: what it loaded; empty if it could not.
    :ivar broken: why it could not.
    :ivar logs: the lines that came by themselves: (invocation id, line). Those of an invocation go to its answer.
    :ivar printed: what it wrote to its own stdout and stderr.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket
    hello: dict[str, Any] = field(default_factory=dict)
    app: dict[str, Any] = field(default_factory=dict)
    broken: IndexingError | None = None
    logs: list[tuple[str, LogRecord]] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    _decoder: Decoder = field(default_factory=Decoder)
    _answers: dict[int, Result | Failure] = field(default_factory=dict)
    _ids: dict[int, str] = field(default_factory=dict)
    _number: int = 0

    # What it is made of

    @property
    def functions(self) -> dict[str, dict[str, Any]]:
        return {function["name"]: function for function in self.app["functions"]}

    @property
    def problems(self) -> dict[str | None, IndexingError]:
        """Why functions could not be loaded, by function."""
        errors = [unpack_error(fields) for fields in self.app["problems"]]
        return {error.function: error for error in errors}

    # Calls

    def invoke(self, function: str, payload: Sequence[bytes], invocation_id: str = "") -> int:
        """Ask for an invocation; gives the number of the call."""
        self._number += 1
        identifier = invocation_id or f"00000000-0000-0000-0000-{self._number:012}"
        self._ids[self._number] = identifier
        self.send(Kind.INVOKE, self._number, [function.encode(), identifier.encode(), *payload])
        return self._number

    def answer(self, call: int) -> Result | Failure:
        """Wait for the answer to a call."""
        self.receive(lambda: call in self._answers)
        return self._answers.pop(call)

    def result(self, call: int) -> Result:
        """Wait for the answer to a call that is to succeed."""
        answer = self.answer(call)
        assert isinstance(answer, Result), answer
        return answer

    def request(
        self,
        function: str,
        url: str = "/",
        *,
        method: str = "GET",
        body: bytes = b"",
        headers: Sequence[tuple[str, str]] = (),
        route: Mapping[str, str] | None = None,
        invocation_id: str = "",
    ) -> int:
        """Ask for an invocation of an HTTP function."""
        fields = [(name.encode(), value.encode()) for name, value in headers]
        full = f"http://localhost:7071{url}".encode()
        return self.invoke(function, encode_request(method, full, route, body, fields), invocation_id)

    def http(self, function: str, url: str = "/", **options: Any) -> Result:
        """Call an HTTP function, which is to succeed."""
        return self.result(self.request(function, url, **options))

    def fail(self, function: str, url: str = "/", **options: Any) -> Failure:
        """Call an HTTP function, which is to fail."""
        answer = self.answer(self.request(function, url, **options))
        assert isinstance(answer, Failure), answer
        return answer

    def wait_for_line(self, text: str) -> None:
        """Wait until it has logged a line that contains ``text``, apart from any answer."""
        self.receive(lambda: any(text in line.message for _, line in self.logs))

    # The protocol

    def send(self, kind: int, call: int = 0, parts: Sequence[bytes] = ()) -> None:
        self.connection.sendall(encode(kind, call, parts))

    def receive(self, until: Callable[[], bool]) -> None:
        """Handle what the worker sends until ``until()`` is true."""
        deadline = time.monotonic() + DEADLINE
        while not until():
            self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.connection.recv(1 << 16)
            if not data:
                raise EOFError(f"the worker has closed its connection; it printed: {self.printed}")
            for frame in self._decoder.feed(data):
                self._take(frame)

    def receive_all(self) -> None:
        """Handle what the worker sends until it closes the connection."""
        with contextlib.suppress(EOFError):
            self.receive(lambda: False)

    def _take(self, frame: Frame) -> None:
        kind, call, parts = frame
        if kind == Kind.HELLO:
            self.hello = {"secret": parts[0].decode(), **unpack_json(parts[1])}
        elif kind == Kind.READY:
            self.app = unpack_json(parts[0])
        elif kind == Kind.BROKEN:
            self.broken = unpack_error(unpack_json(parts[0]))
        elif kind == Kind.LOG:
            self.logs += [(parts[0].decode(), line) for line in unpack_lines(parts[1:])]
        elif kind == Kind.RESULT:
            lines, outputs, status = RESULT_HEAD.unpack(parts[0])
            at, end = 1 + 3 * lines, 1 + 3 * (lines + outputs)
            named = {parts[i].decode(): (parts[i + 1].decode(), parts[i + 2]) for i in range(at, end, 3)}
            headers, body = decode_response(parts[end:]) if status else ([], b"")
            text = [(name.decode(), value.decode()) for name, value in headers]
            self._answers[call] = Result(status, text, body, named, self._lines(call, parts[1:at]))
        elif kind == Kind.FAILURE:
            end = 1 + 3 * COUNT.unpack(parts[0])[0]
            name, message, traceback = (part.decode() for part in parts[end:])
            self._answers[call] = Failure(name, message, traceback, self._lines(call, parts[1:end]))
        else:
            raise AssertionError(f"the worker sent a frame of the unknown kind {kind}")

    def _lines(self, call: int, packed: Sequence[bytes]) -> list[LogRecord]:
        """The lines of a call: those that have come ahead of its answer, and those that come with it."""
        invocation_id = self._ids.pop(call)
        ahead = [line for owner, line in self.logs if owner == invocation_id]
        self.logs = [(owner, line) for owner, line in self.logs if owner != invocation_id]
        return [*ahead, *unpack_lines(packed)]

    # Its end

    def stop(self) -> int:
        """Tell it to stop, as a host does, and give its exit status."""
        self.send(Kind.STOP)
        self.receive_all()
        return self.process.wait(DEADLINE)

    def abandon(self) -> None:
        """Be gone, as a host is that was killed: the system closes what it held."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.connection.close()

    def read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.decode(errors="replace").rstrip("\r\n"))


@contextlib.contextmanager
def driven_worker(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    python: Sequence[str] = (sys.executable,),
    waits: bool = True,
) -> Iterator[DrivenWorker]:
    """Run a worker process on the app in ``folder`` while the block runs; afterwards nothing of it is left.

    :param environ: settings that the app has besides this process's environment.
    :param python: the app's interpreter, with what goes between it and the worker's script.
    :param waits: whether to wait until the worker has said what it has loaded.
    """
    secret = "sésame"
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AzureWeb"))}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(DEADLINE)
        address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [*python, str(BOOT), address, "azure", str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**clean, SECRET_VARIABLE: secret, "PYTHONUNBUFFERED": "1", **(environ or {})},
            start_new_session=True,
        )
        connection, _ = listener.accept()
    worker = DrivenWorker(process, connection)
    reader = threading.Thread(target=worker.read_output, daemon=True)
    reader.start()
    try:
        if waits:
            worker.receive(lambda: bool(worker.app) or worker.broken is not None)
            assert worker.hello["secret"] == secret
        yield worker
    finally:
        _end(process)
        reader.join(DEADLINE)
        connection.close()
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            with contextlib.suppress(OSError):
                stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the worker and all that it has started."""
    if sys.platform == "win32":
        process.kill()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
    process.wait(DEADLINE)
