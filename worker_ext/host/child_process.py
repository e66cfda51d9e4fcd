"""A child process with a group of its own: what it writes, line by line, and its end, however that comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Semaphore, Thread

from .standby import start_process

POSIX = os.name == "posix"

_OUTPUT_GRACE = 0.5
"""Seconds that the last output has to arrive after the end of its process."""
_LONGEST_LINE = 65_536
"""Bytes after which a line is shown although it has not ended."""
_AHEAD = 16
"""Reads that may wait for the event loop; a process that writes faster has to wait itself."""


class ChildProcess:
    """A child process.

    Its end is told by the system and not by the end of its output: what it has started may hold that open for long.
    Its standard input is held open, so that it can notice our own end. Two threads wait for it, one for its output and
    one for its end: that works alike on every system, and for a process that was started before there was a loop.

    :param on_line: told on the event loop each line that it writes to its standard output or error.
    :param on_end: told once when it has ended, with its exit status; minus the number of the signal that ended it.
    """

    def __init__(self, on_line: Callable[[str], None], on_end: Callable[[int], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._process: subprocess.Popen[bytes] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._room = Semaphore(_AHEAD)
        self._line = b""
        self._output_ended = False
        self._status: int | None = None
        self._told = False

    @property
    def pid(self) -> int:
        """Its process id, 0 before it has one."""
        return self._process.pid if self._process else 0

    def start(self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start it; to be called on the event loop.

        :raises OSError: if it cannot be run, or there is no such folder.
        """
        self.adopt(start_process(command, cwd=cwd, environ=environ))

    def adopt(self, process: subprocess.Popen[bytes]) -> None:
        """Take a process that :func:`~worker_ext.host.standby.start_process` has started."""
        self._process = process
        self._loop = asyncio.get_running_loop()
        for wait in (self._wait_for_output, self._wait_for_end):
            Thread(target=wait, args=(process,), name=f"{wait.__name__}-{process.pid}", daemon=True).start()

    def kill(self) -> None:
        """End it at once, with everything that it has started."""
        if self._process is None or self._status is not None:
            return
        if POSIX:
            self._kill_group(self._process.pid)
        else:
            with contextlib.suppress(OSError):
                self._process.kill()

    # On threads of their own

    def _wait_for_output(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # closed, because the process has ended
            while data := os.read(process.stdout.fileno(), _LONGEST_LINE):
                self._room.acquire()
                self._tell_loop(self._received, data)
        self._tell_loop(self._output_over)

    def _wait_for_end(self, process: subprocess.Popen[bytes]) -> None:
        self._tell_loop(self._exited, process, process.wait())

    def _tell_loop(self, call: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody wants to know any more
            self._loop.call_soon_threadsafe(call, *arguments)

    # On the event loop

    def _received(self, data: bytes) -> None:
        self._room.release()
        if self._told:
            return
        *lines, rest = (self._line + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = b""
        self._line = rest
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def _output_over(self) -> None:
        self._output_ended = True
        if self._status is not None:
            self._tell()

    def _exited(self, process: subprocess.Popen[bytes], status: int) -> None:
        self._status = status
        if POSIX:
            self._kill_group(process.pid)
        if self._output_ended:
            self._tell()
        else:
            self._loop.call_later(_OUTPUT_GRACE, self._tell)

    def _kill_group(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(pid, signal.SIGKILL)

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._status is not None
        if self._line:
            self._on_line(self._line.decode(errors="replace"))
        self._process.stdin.close()
        if self._output_ended:  # else its thread still reads; it is let go of when that ends
            assert self._process.stdout is not None
            self._process.stdout.close()
        self._on_end(self._status)
