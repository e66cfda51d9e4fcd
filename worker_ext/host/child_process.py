"""A child process with a group of its own: what it writes, line by line, and its end, however that comes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import cast

POSIX = os.name == "posix"

_OUTPUT_GRACE = 0.5
"""Seconds that the last output has to arrive after the end of its process."""
_LONGEST_LINE = 65_536
"""Bytes after which a line is shown although it has not ended."""


class ChildProcess(asyncio.SubprocessProtocol):
    """A child process.

    Its end is told by the system and not by the end of its output: what it has started may hold that open for long.
    Its standard input is held open and never written to, so that it can notice our own end.

    :param on_line: told each line that it writes to its standard output or error.
    :param on_end: told once when it has ended, with its exit status; minus the number of the signal that ended it.
    """

    def __init__(self, on_line: Callable[[str], None], on_end: Callable[[int], None]) -> None:
        self._on_line = on_line
        self._on_end = on_end
        self._transport: asyncio.SubprocessTransport | None = None
        self._line = b""
        self._output_ended = False
        self._status: int | None = None
        self._told = False

    @property
    def pid(self) -> int:
        """Its process id, 0 before it has one."""
        return (self._transport.get_pid() or 0) if self._transport else 0

    async def start(self, command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> None:
        """Start it.

        :raises OSError: if it cannot be run, or there is no such folder.
        """
        await asyncio.get_running_loop().subprocess_exec(
            lambda: self,
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=cwd,
            env=environ,
            # A group of its own: Ctrl-C is ours to handle, and what it starts can be ended with it.
            start_new_session=POSIX,
        )

    def kill(self) -> None:
        """End it at once, with everything that it has started."""
        if self._transport is None or self._status is not None:
            return
        if POSIX:
            self._kill_group()
        else:
            with contextlib.suppress(ProcessLookupError):
                self._transport.kill()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport (called by asyncio)."""
        self._transport = cast(asyncio.SubprocessTransport, transport)  # uvloop's is one in all but its base class

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Cut the output into lines (called by asyncio)."""
        *lines, rest = (self._line + data).split(b"\n")
        if len(rest) > _LONGEST_LINE:
            lines.append(rest)
            rest = b""
        self._line = rest
        for line in lines:
            self._on_line(line.decode(errors="replace").rstrip("\r"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Note the end of the output (called by asyncio)."""
        if fd == 1:
            self._output_ended = True
            if self._status is not None:
                self._tell()

    def process_exited(self) -> None:
        """Note the end of the process (called by asyncio)."""
        assert self._transport is not None
        self._status = self._transport.get_returncode() or 0
        if POSIX:
            self._kill_group()
        if self._output_ended:
            self._tell()
        else:
            asyncio.get_running_loop().call_later(_OUTPUT_GRACE, self._tell)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in it
            os.killpg(self.pid, signal.SIGKILL)

    def _tell(self) -> None:
        if self._told:
            return
        self._told = True
        assert self._transport is not None
        assert self._status is not None
        if self._line:
            self._on_line(self._line.decode(errors="replace"))
        self._transport.close()
        self._on_end(self._status)
