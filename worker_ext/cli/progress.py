"""What long work shows: on a terminal one line that moves, elsewhere a line when a step begins and when it ends."""

from __future__ import annotations

import shutil
import sys
import threading
import time
from types import TracebackType
from typing import TextIO

_FRAMES, _ASCII_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏", "-\\|/"
_INTERVAL = 0.1
"""Seconds between two pictures."""
_CLEAR = "\r\x1b[2K"


class Step:
    """One step of long work, for as long as a ``with`` block runs.

    :param title: what is being done, such as ``Installing packages``.
    :param stream: where it is shown; standard error, so that output can be piped.
    """

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = sys.stderr if stream is None else stream
        self._moves = self._stream.isatty()
        self._frames = _FRAMES if _can_write(self._stream, _FRAMES) else _ASCII_FRAMES
        self._detail = ""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw, daemon=True)

    def tell(self, detail: str) -> None:
        """Show what it is at, such as a file's name; only on a terminal."""
        self._detail = detail

    def __enter__(self) -> Step:
        self._started = time.monotonic()
        if self._moves:
            self._thread.start()
        else:
            self._write(f"{self._title}...\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._ended.set()
        outcome = "done" if kind is None else "stopped" if kind is KeyboardInterrupt else "failed"
        if self._moves:
            self._thread.join()
            self._write(_CLEAR)
        self._write(f"{self._title}: {outcome}, {self._seconds:.1f} s\n")

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started

    def _draw(self) -> None:
        number = 0
        while not self._ended.wait(_INTERVAL):
            number += 1
            detail = f": {self._detail}" if self._detail else ""
            text = f"{self._frames[number % len(self._frames)]} {self._title}{detail} ({self._seconds:.0f} s)"
            width = shutil.get_terminal_size().columns - 1
            self._write(f"{_CLEAR}{text if len(text) <= width else text[: width - 3] + '...'}")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
