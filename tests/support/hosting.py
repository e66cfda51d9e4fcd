"""A real local host in a process of its own, on an app that a test writes."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOST_JSON = {"version": "2.0"}
DEADLINE = 20.0  # seconds that anything may take before a test gives up on it


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


@dataclass
class RunningHost:
    """``func host start`` on a folder."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    port: int = 0
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def read_console(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self.lines.append("<end>")
            self._changed.notify_all()

    @property
    def console(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, pattern: str, *, count: int = 1, timeout: float = DEADLINE) -> re.Match[str]:
        """Wait until the console has shown ``pattern`` so many times."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = list(re.finditer(pattern, self.console))
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0 or (self.lines and self.lines[-1] == "<end>"):
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

    def worker_pids(self) -> list[int]:
        """The process ids of the workers that run now (Linux)."""
        children = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                with contextlib.suppress(OSError, IndexError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[1]) == self.process.pid and b"boot.py" in (entry / "cmdline").read_bytes():
                        children.append(int(entry.name))
        return children

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal the host and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextlib.contextmanager
def running_host(
    folder: Path,
    *options: str,
    environ: Mapping[str, str] | None = None,
    ready: str | None = r"http://localhost:\d+|Functions:|No functions",
    python: str = sys.executable,
) -> Iterator[RunningHost]:
    """Run ``func host start`` on ``folder`` while the block runs; afterwards nothing of it is left.

    :param ready: what the console shows when the test may begin; ``None`` for at once.
    """
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON_ENABLE", "AzureWeb"))}
    clean.pop("VIRTUAL_ENV", None)
    clean["PYTHONIOENCODING"] = "utf-8"
    root = str(Path(__file__).resolve().parents[2])
    clean["PYTHONPATH"] = os.pathsep.join(part for part in (root, clean.get("PYTHONPATH", "")) if part)
    process = subprocess.Popen(
        [python, "-m", "worker_ext", "host", "start", "--port", "0", "--script-root", str(folder), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        env={**clean, **(environ or {})},
    )
    host = RunningHost(process)
    reader = threading.Thread(target=host.read_console, daemon=True)
    reader.start()
    try:
        if ready is not None:
            host.wait_for(ready)
            listening = re.search(r"http://localhost:(\d+)", host.console)
            if listening is not None:
                host.port = int(listening[1])
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
