"""What the tests of the command line share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

RunFunc = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, which is the current one."""
    path = tmp_path / "app"
    path.mkdir()
    monkeypatch.chdir(path)
    return path


@pytest.fixture
def func(folder: Path) -> RunFunc:
    """Runs ``func`` as a process of its own: ``func("init", "--python", path=[...])``, with that PATH."""

    def run(*arguments: str, path: Sequence[Path] = (), **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "worker_ext", *arguments],
            cwd=folder,
            env={
                **os.environ,
                "PATH": os.pathsep.join(map(str, path)),
                "PYTHONPATH": str(REPOSITORY),
                **environment,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


class FakeCoreTools:
    """A ``func`` that writes down how it was called.

    :param folder: where to make it; this goes on PATH.
    """

    EXIT_STATUS = 7

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._record = folder / "record.json"
        script = folder / "script.py"
        script.write_text(
            "import json, pathlib, sys\n"
            f"pathlib.Path({str(self._record)!r}).write_text(json.dumps(sys.argv[1:]))\n"
            f"sys.exit({self.EXIT_STATUS})\n"
        )
        make_executable(folder, f'"{sys.executable}" "{script}"')

    @property
    def called_with(self) -> list[str] | None:
        """The arguments of the last call, None if there was none."""
        return json.loads(self._record.read_text()) if self._record.exists() else None


def make_executable(folder: Path, command: str) -> Path:
    """A script named ``func`` that runs ``command`` with the arguments that it is given."""
    if os.name == "nt":
        path = folder / "func.cmd"
        path.write_text(f"@{command} %*\n")
    else:
        path = folder / "func"
        path.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        path.chmod(0o755)
    return path


@pytest.fixture
def core_tools(tmp_path: Path) -> FakeCoreTools:
    """Azure Functions Core Tools, to be put on PATH."""
    return FakeCoreTools(tmp_path / "core_tools")


@pytest.fixture
def executable() -> Callable[[Path, str], Path]:
    """:func:`make_executable`."""
    return make_executable
