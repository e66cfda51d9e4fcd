"""Apps that run in Microsoft's own runtime: what the tests of the bridge share."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support.stock_driver import REPORT
from support.stock_runtime import ROOT, stock_python

APPS = Path(__file__).parent / "apps"

FLAG = "PYTHON_ENABLE_WORKER_EXTENSIONS"

DRIVER = ROOT / "tests" / "support" / "stock_driver.py"

PROTOS = ROOT / "worker_ext" / "runtimes" / "azure" / "rpc" / "functions_rpc_pb2.py"


@dataclass
class Run:
    """What came of an app's run.

    :ivar failure: why the app could not be indexed, if so: message and traceback.
    :ivar functions: the functions that the runtime knows.
    :ivar load_failures: name → why a function could not be loaded.
    :ivar answers: one for each call: failure, returned value, outputs.
    :ivar lines: what was logged: logger, level, text, invocation.
    :ivar printed: what was printed.
    :ivar after_the_end: what was printed when the process ended.
    """

    failure: dict[str, str] | None
    printed: list[str]
    after_the_end: list[str]
    lines: list[dict[str, Any]]
    functions: Sequence[str] = ()
    load_failures: dict[str, dict[str, str]] | None = None
    answers: Sequence[dict[str, Any]] = ()

    def body(self, number: int) -> str:
        """The body of the response to a call."""
        answer = self.answers[number]
        assert answer["failure"] is None, answer["failure"]["traceback"]
        body = answer["returned"]["body"]
        assert isinstance(body, str)
        return body

    def texts(self, logger: str, invocation: int | None = None) -> list[str]:
        """What a logger has logged, in the course of one call or of all."""
        return [
            line["text"]
            for line in self.lines
            if line["logger"] == logger and invocation in (None, _number(line["invocation"]))
        ]

    def told(self, beginning: str) -> list[str]:
        """What was printed after these words."""
        return [line.removeprefix(beginning).strip() for line in self.printed if line.startswith(beginning)]

    @property
    def warnings(self) -> list[str]:
        """The warnings and errors of worker-ext itself."""
        return [line["text"] for line in self.lines if line["logger"] == "worker_ext" and line["level"] != "INFO"]


def _number(invocation: str | None) -> int | None:
    return None if invocation is None else int(re.sub(r"\D", "", invocation))


def get(function: str, **details: Any) -> dict[str, Any]:
    """A call of an HTTP function."""
    return {"function": function, "inputs": {"req": {"http": {"url": f"http://localhost/{function}"}}}, **details}


RunStock = Callable[..., Run]


@pytest.fixture(scope="session")
def run_stock() -> RunStock:
    """Runs an app in the stock runtime: ``run_stock(folder, calls, flag="1")``."""

    def run(
        folder: Path,
        calls: Sequence[dict[str, Any]] = (),
        *,
        flag: str | None = "1",
        environ: Mapping[str, str] | None = None,
        **job: Any,
    ) -> Run:
        done = start_stock(folder, {"calls": calls, **job}, flag=flag, environ=environ)
        assert done.returncode == 0, done.stdout + done.stderr
        printed = done.stdout.splitlines()
        end = next(number for number, line in enumerate(printed) if line.startswith(REPORT))
        report = json.loads(printed[end].removeprefix(REPORT))
        return Run(printed=printed[:end], after_the_end=printed[end + 1 :], **report)

    return run


def start_stock(
    folder: Path, job: dict[str, Any], *, flag: str | None, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the driver on an app until it ends, however it ends."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AzureWeb"))}
    settings = {"PYTHONPATH": str(APPS / "shared"), **({} if flag is None else {FLAG: flag})}
    return subprocess.run(
        [stock_python(), str(DRIVER), str(folder)],
        input=json.dumps({"protos": str(PROTOS), **job}),
        env={**clean, **settings, **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
