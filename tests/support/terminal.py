"""A program at a real terminal, as a person has it before them (POSIX)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import pytest

DEADLINE = 20.0


class Terminal:
    """A program whose input and output are a pseudo-terminal, for as long as a ``with`` block runs.

    :param command: the program and its arguments.
    :param cwd: where it runs.
    :param environ: variables for it, beside those of this process.
    """

    def __init__(self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str] | None = None) -> None:
        pty = pytest.importorskip("pty", reason="Windows has no pseudo-terminals")
        self._master, slave = pty.openpty()
        root = str(Path(__file__).resolve().parents[2])
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        self._process = subprocess.Popen(
            command,
            cwd=cwd,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": root, "PATH": path, **(environ or {})},
        )
        os.close(slave)
        self._shown = ""
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Terminal:
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(DEADLINE)
        os.close(self._master)

    def type(self, text: str) -> None:
        """Type ``text``."""
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until the screen has shown ``text``, whatever it is decorated with."""
        with self._changed:
            self._changed.wait_for(lambda: text in self.shown or self._ended, DEADLINE)
            assert text in self.shown, f"the terminal did not show {text!r}:\n{self.shown}"

    @property
    def shown(self) -> str:
        """What the screen has shown, without colours and cursor movements."""
        return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b[=>]|.\x08", "", self._shown).replace("\r\n", "\n")

    def wait(self) -> int:
        """Wait for the program's end; gives its exit status."""
        return self._process.wait(DEADLINE)

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 65_536)
            except OSError:  # nobody has the other end open any more
                data = b""
            with self._changed:
                self._shown += data.decode(errors="replace")
                self._ended = not data
                self._changed.notify_all()
            if not data:
                return
