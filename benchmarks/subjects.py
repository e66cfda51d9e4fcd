"""What is measured: servers, each as its own documentation starts it."""

from __future__ import annotations

import ast
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
NAME = "?name=Ann"

TIMER = (
    "from python_worker_extension_timer import TimerExtension\nTimerExtension.configure(append_to_http_response=True)\n"
)
TELEMETRY = "from python_worker_extension_telemetry import OpenCensusExtension\nOpenCensusExtension.configure()\n"
NO_OP = """
class NoOp(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
        pass

    @classmethod
    def post_invocation_app_level(cls, logger, context, func_args, func_ret, *args, **kwargs):
        pass
"""


@dataclass
class Subject:
    """One server.

    :ivar name: what the report calls it.
    :ivar command: starts it; ``{port}`` is replaced.
    :ivar paths: kind of function ("async", "sync") → path.
    :ivar environ: added to its environment.
    :ivar folder: its working directory.
    """

    name: str
    command: list[str]
    paths: dict[str, str]
    environ: dict[str, str] = field(default_factory=dict)
    folder: Path = ROOT


def subjects(scratch: Path) -> list[Subject]:
    """All servers.

    :param scratch: where editions of the sample app may be written.
    """
    paths = {"async": f"/api/AsyncTrigger{NAME}", "sync": f"/api/HttpTrigger{NAME}"}
    ten = "".join(NO_OP.replace("NoOp", f"NoOp{number}") for number in range(10))
    editions = {"off": "", "no-op": NO_OP, "ten no-ops": ten, "timer": TIMER, "timer+telemetry": TIMER + TELEMETRY}
    start = [str(BIN / "func"), "host", "start", "--port", "{port}"]
    ours = [
        Subject(
            f"worker-ext, {name}",
            start,
            paths,
            {"PYTHON_ENABLE_WORKER_EXTENSIONS": "1" if prelude else "0"},
            _edition(scratch / name, prelude),
        )
        for name, prelude in editions.items()
    ]
    greet = [str(BIN / "functions-framework"), "--source", "benchmarks/servers/functions_framework_app.py"]
    return [
        *ours,
        Subject(
            "functions-framework",
            [*greet, "--target", "greet", "--port", "{port}"],
            {"async": f"/{NAME}", "sync": f"/{NAME}"},  # it has one way to run a function; both are compared with it
        ),
        Subject(
            "Starlette on uvicorn",
            [str(BIN / "uvicorn"), "benchmarks.servers.starlette_app:app", "--port", "{port}"],
            {"async": f"/api/AsyncTrigger{NAME}"},
        ),
        Subject(
            "two-process echo",
            [sys.executable, "-m", "benchmarks.servers.echo", "{port}"],
            {"async": f"/api/AsyncTrigger{NAME}"},
        ),
    ]


def _edition(folder: Path, prelude: str) -> Path:
    """The sample app with other extensions: its own functions, letter for letter."""
    shutil.copytree(ROOT / "sample_app", folder, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
    script = folder / "function_app.py"
    source = script.read_text(encoding="utf-8")
    lines = source.splitlines(keepends=True)
    for node in reversed(ast.parse(source).body):
        if "Extension" in ast.unparse(node) and not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue
            del lines[node.lineno - 1 : node.end_lineno]
    at = next(i for i, line in enumerate(lines) if line.startswith("app = "))
    lines.insert(at, prelude)
    script.write_text("".join(lines), encoding="utf-8")
    return folder


class Server:
    """A running subject.

    :ivar pid: its first process.
    :ivar first_answer: seconds from its start to its first answer.
    """

    def __init__(self, subject: Subject, log: Path) -> None:
        self.subject = subject
        self.port = _free_port()
        command = [word.format(port=self.port) for word in subject.command]
        environ = {**os.environ, **subject.environ, "NO_COLOR": "1"}
        with log.open("ab") as output:
            begun = time.perf_counter()
            self._process = subprocess.Popen(
                command, cwd=subject.folder, env=environ, stdout=output, stderr=output, start_new_session=True
            )
        self.pid = self._process.pid
        self._await_answer(log)
        self.first_answer = time.perf_counter() - begun

    def url(self, kind: str) -> str | None:
        """Where a kind of function answers, if it has one."""
        path = self.subject.paths.get(kind)
        return f"http://127.0.0.1:{self.port}{path}" if path else None

    def stop(self) -> None:
        """End it with everything that it started."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def _await_answer(self, log: Path) -> None:
        url = self.url("async")
        assert url is not None
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(url, timeout=10) as answer:
                    answer.read()
                    return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.002)
            if self._process.poll() is not None:
                break
        self.stop()
        raise SystemExit(
            f"{self.subject.name} did not answer at {url}; its output is in {log}:\n{log.read_text()[-2000:]}"
        )


@contextlib.contextmanager
def running(subject: Subject, scratch: Path) -> Iterator[Server]:
    """Run a subject while the block runs."""
    server = Server(subject, scratch / f"{subject.name.replace(' ', '-')}.log")
    try:
        yield server
    finally:
        server.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
