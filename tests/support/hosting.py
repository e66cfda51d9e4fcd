"""A real local host in a process of its own, on an app that a test writes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

HOST_JSON = {"version": "2.0"}
DEADLINE = 20.0  # seconds that anything may take before a test gives up on it

_STATE = tempfile.TemporaryDirectory(prefix="wx-state")  # what hosts keep between their starts; gone with the tests
_MARK = "WORKER_EXT_TEST"  # an environment variable that every process which a host has started inherits
_END = "<end of the console>"


@dataclass
class Response:
    """An answer; header names are lower-case, repeated headers are listed in order."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)


def write_app(folder: Path, files: Mapping[str, str | bytes | dict[str, Any]]) -> Path:
    """Write an app's files; ``host.json`` is added if it is not among them, dicts are written as JSON."""
    for name, content in {"host.json": HOST_JSON, **files}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, dict):
            content = json.dumps(content, indent=2)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def wait_until(condition: Callable[[], Any], what: str, *, timeout: float = DEADLINE) -> Any:
    """Wait until ``condition`` gives something true, and return that."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"within {timeout:g} s this did not happen: {what}"
        time.sleep(0.01)
    return found


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class RunningHost:
    """``func host start`` on a folder."""

    process: subprocess.Popen[str]
    mark: str
    temporary: Path
    port: int = 0
    lines: list[str] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def read_console(self) -> None:
        assert self.process.stdout is not None
        for line in chain(self.process.stdout, [_END]):
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()

    @property
    def console(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, *, count: int = 1, since: int = 0, timeout: float = DEADLINE) -> re.Match[str]:
        """Wait until the console has shown ``pattern`` so many times, from its line number ``since`` on."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = list(re.finditer(pattern, "\n".join(self.lines[since:])))
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or (self.lines and self.lines[-1] == _END):
                    raise AssertionError(f"the console did not show {pattern!r} {count} times:\n{self.console}")
                self._changed.wait(left)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float = DEADLINE,
    ) -> Response:
        """Send a request on a connection of its own. A body that is an iterator goes out in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=dict(headers or {}))
            answer = connection.getresponse()
            found = [(name.lower(), value) for name, value in answer.getheaders()]
            return Response(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, headers=headers)

    def begin(self, path: str) -> Request:
        """Send a GET request from a thread, and go on without its answer."""
        return Request(self, path)

    def connect(self) -> socket.socket:
        """A connection for bytes that no HTTP library would send."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def worker_pids(self) -> list[int]:
        """The process ids of the workers that run now (Linux)."""
        return [pid for pid in self.processes() if b"boot.py" in _read(pid, "cmdline")]

    def processes(self) -> list[int]:
        """The process ids of everything that the host has started and that runs now (Linux)."""
        return [pid for pid in _processes(self.mark) if pid != self.process.pid]

    def wait_for_nothing_left(self) -> None:
        """Wait until everything that the host has started has ended."""
        wait_until(lambda: not self.processes(), f"the end of the processes {self.processes()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the host and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)


class Request:
    """A GET request that is under way in a thread."""

    def __init__(self, host: RunningHost, path: str) -> None:
        self._answer: Response | Exception | None = None
        self._thread = threading.Thread(target=self._send, args=(host, path), daemon=True)
        self._thread.start()

    def _send(self, host: RunningHost, path: str) -> None:
        try:
            self._answer = host.get(path)
        except Exception as error:
            self._answer = error

    @property
    def is_answered(self) -> bool:
        return self._answer is not None

    def answer(self) -> Response:
        """Wait for the answer."""
        self._thread.join(DEADLINE)
        assert isinstance(self._answer, Response), self._answer
        return self._answer


@contextlib.contextmanager
def steady_requests(host: RunningHost, path: str, *, clients: int = 3) -> Iterator[Counter[Any]]:
    """Send requests all the time while the block runs, each on a connection of its own.

    Gives the counts of (status, body) of the answers; of what failed without one, those of the error's repr.
    """
    outcomes: Counter[Any] = Counter()
    stop = threading.Event()

    def send() -> None:
        while not stop.is_set():
            try:
                answer = host.get(path)
                outcomes[(answer.status, answer.text)] += 1
            except Exception as error:
                outcomes[repr(error)] += 1

    threads = [threading.Thread(target=send, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield outcomes
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)


def start_command(folder: Path, *options: str, port: int | None = 0, python: str = sys.executable) -> list[str]:
    """The command line of a host.

    :param port: the port to listen on: 0 for any that is free, ``None`` to leave it to the settings.
    """
    chosen = () if port is None else ("--port", str(port))
    return [python, "-m", "worker_ext", "host", "start", *chosen, "--script-root", str(folder), *options]


def host_environ(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """An environment for a host, without what would be taken for settings of the app."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON_", "Azure", "AZURE_", "FUNCTIONS_", "languageWorkers", "VIRTUAL_ENV"))
    }
    clean["PYTHONIOENCODING"] = "utf-8"
    clean["WORKER_EXT_STATE"] = _STATE.name
    root = str(Path(__file__).resolve().parents[2])
    clean["PYTHONPATH"] = os.pathsep.join(part for part in (root, clean.get("PYTHONPATH", "")) if part)
    return {**clean, **(environ or {})}


def start_fails(folder: Path, *options: str, port: int = 0, environ: Mapping[str, str] | None = None) -> str:
    """Start a host that cannot start; nothing is left of it. Gives what it writes to its standard error."""
    mark = uuid.uuid4().hex
    with tempfile.TemporaryDirectory(prefix="wx") as temporary:
        done = subprocess.run(
            start_command(folder, *options, port=port),
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=host_environ({_MARK: mark, "TMPDIR": temporary, **(environ or {})}),
            timeout=DEADLINE,
        )
        assert done.returncode == 1, f"status {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert os.listdir(temporary) == []
        assert _processes(mark) == []
    return done.stderr


@contextlib.contextmanager
def running_host(
    folder: Path,
    *options: str,
    port: int | None = 0,
    environ: Mapping[str, str] | None = None,
    ready: str | None = r"https?://localhost:\d+|No functions",
    python: str = sys.executable,
) -> Iterator[RunningHost]:
    """Run ``func host start`` on ``folder`` while the block runs; afterwards nothing of it is left.

    :param port: see :func:`start_command`. Name one where the console tells none, as of an app that is broken.
    :param ready: what the console shows when the test may begin; ``None`` for at once.
    """
    mark = uuid.uuid4().hex
    temporary = Path(tempfile.mkdtemp(prefix="wx"))  # a short path: it will hold a socket
    process = subprocess.Popen(
        start_command(folder, *options, port=port, python=python),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env=host_environ({_MARK: mark, "TMPDIR": str(temporary), **(environ or {})}),
    )
    host = RunningHost(process, mark, temporary, port or 0)
    reader = threading.Thread(target=host.read_console, daemon=True)
    reader.start()
    try:
        if ready is not None:
            host.wait_for(ready)
            listening = re.search(r"https?://localhost:(\d+)", host.console)
            if listening is not None:
                host.port = int(listening[1])
            elif port:  # what is wrong with an app can be told before the host listens
                wait_until(lambda: is_listening(port), "a host that listens")
        yield host
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        reader.join(DEADLINE)
        assert process.stdout is not None
        process.stdout.close()
        shutil.rmtree(temporary, ignore_errors=True)


def is_listening(port: int) -> bool:
    """Whether connections to a port of this machine are accepted."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _processes(mark: str) -> list[int]:
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if mark.encode() in _read(pid, "environ")]


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:  # it has ended
        return b""
