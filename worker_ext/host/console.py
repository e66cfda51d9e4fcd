"""The console: the lines that people and their editors know from Azure's own local host."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import sys
import time
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TextIO

from ..invocation import LogRecord
from .json_lines import JsonLines

LEVELS = {
    "Trace": logging.DEBUG,
    "Debug": logging.DEBUG,
    "Information": logging.INFO,
    "Warning": logging.WARNING,
    "Error": logging.ERROR,
    "Critical": logging.CRITICAL,
    "None": logging.CRITICAL + 1,
}
"""The level names of ``host.json`` and their numbers in :mod:`logging`."""

_COLOURS = {logging.DEBUG: "\x1b[90m", logging.WARNING: "\x1b[33m", logging.ERROR: "\x1b[31m"}
"""Grey, yellow and red; other lines have the terminal's own colour."""
_CYAN, _RESET = "\x1b[36m", "\x1b[0m"

_HOST = "Host"
"""The category of what the host itself says."""

PATIENCE = 0.01
"""Seconds that a line may wait for others: a write per invocation would cost as much as the invocation's own."""


class _Nowhere(io.TextIOBase):
    """Where lines go once whoever read the console has gone; functions go on."""

    def write(self, text: str) -> int:
        return len(text)


class Console:
    """Writes timestamped lines. Lines that come within :data:`PATIENCE` leave in one write.

    :param stream: where to; colours are used if it is a terminal and ``NO_COLOR`` is not set.
    :param verbose: whether :meth:`detail` writes anything.
    :param json_lines: whether it writes JSON (:mod:`.json_lines`).
    :param json_file: where the JSON goes; without it, it takes the place of the lines for people.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        *,
        verbose: bool = False,
        json_lines: bool = False,
        json_file: TextIO | None = None,
    ) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._colours = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._lines: list[str] = []
        self._millisecond = self._second = 0
        self._stamp = self._second_stamp = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._json: JsonLines | None = None
        self._for_people = True
        if json_lines:
            self._json = JsonLines(self._add if json_file is None else lambda line: _write_line(json_file, line))
            self._for_people = json_file is not None
        self.verbose = verbose
        self.set_levels({})

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on collect lines, and write them on ``loop``."""
        self._loop = loop

    def set_levels(self, levels: Mapping[str, str]) -> None:
        """Set which lines of functions are shown.

        :param levels: ``logging.logLevel`` of ``host.json``: beginning of a category, in any case and with one ``*`` at
            most → level name; the longest that matches counts, then ``default``. Categories: ``Function.NAME`` for an
            invocation's own two lines, ``Function.NAME.User`` for what its code writes.
        """
        rules = {pattern.lower(): LEVELS[level] for pattern, level in levels.items()}
        others = rules.pop("default", logging.DEBUG if self.verbose else logging.INFO)
        patterns = sorted(rules, key=lambda pattern: len(pattern.replace("*", "")), reverse=True)
        by_length = [(pattern.partition("*"), rules[pattern]) for pattern in patterns]

        @lru_cache(maxsize=4096)
        def threshold(category: str) -> int:
            category = category.lower()
            for (beginning, _, end), level in by_length:
                if category.startswith(beginning) and category.endswith(end):
                    return level
            return others

        self._threshold = threshold

    def invocation(self, function: str, text: str) -> None:
        """Write one of the two lines that frame every invocation."""
        if self._threshold(f"Function.{function}") <= logging.INFO:
            self._line(logging.INFO, text, f"Function.{function}")

    def failure(self, function: str, text: str) -> None:
        """Write how an invocation has failed."""
        if self._threshold(f"Function.{function}") <= logging.ERROR:
            self._line(logging.ERROR, text, f"Function.{function}")

    def info(self, text: str) -> None:
        """Write a line."""
        self._line(logging.INFO, text)

    def printed(self, text: str) -> None:
        """Write what a worker has printed past its log: an event, or a line."""
        if self._json is None or not self._json.printed(text):
            self._line(logging.INFO, text)

    def detail(self, text: str) -> None:
        """Write a line that only ``--verbose`` shows."""
        if self.verbose:
            self._line(logging.DEBUG, text)

    def warning(self, text: str) -> None:
        """Write a line that needs attention."""
        self._line(logging.WARNING, text)

    def error(self, text: str) -> None:
        """Write a line about something that went wrong."""
        self._line(logging.ERROR, text)

    def heading(self, text: str) -> None:
        """Write a line without a timestamp."""
        if self._json is not None:
            self._json.line(logging.INFO, _HOST, text)
        if self._for_people:
            self._add(self._paint(_CYAN, text) if text else "")

    def records(self, function: str, records: Iterable[LogRecord]) -> None:
        """Write what user code has logged or printed, with its level; a hook's lines carry the extension's name.

        :param function: whose invocation wrote it; empty for lines that belong to none.
        """
        category = f"Function.{function}.User"
        threshold = self._threshold(category)
        for level, name, message in records:
            if level < threshold:
                continue
            text = f"[{name}] {message}" if name and name != "root" else message
            if self._json is not None:
                self._json.line(level, category, text)
            if not self._for_people:
                continue
            if not self._colours and level != logging.INFO:
                text = f"{logging.getLevelName(level)}: {text}"
            shown = logging.ERROR if level >= logging.ERROR else logging.WARNING
            self._add(self._stamped(shown if level >= logging.WARNING else logging.INFO, text))

    def flush(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        text = "\n".join(lines) + "\n"
        try:
            try:
                self._stream.write(text)
            except UnicodeEncodeError:
                encoding = self._stream.encoding or "ascii"
                self._stream.write(text.encode(encoding, errors="backslashreplace").decode(encoding))
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = _Nowhere()

    def _line(self, level: int, text: str, category: str = _HOST) -> None:
        if self._json is not None:
            self._json.line(level, category, text)
        if self._for_people:
            self._add(self._stamped(level, text))

    def _stamped(self, level: int, text: str) -> str:
        line = f"{self._now()}{text}"
        return line if level == logging.INFO else self._paint(_COLOURS[level], line)

    def _add(self, line: str) -> None:
        if not self._lines and self._loop is not None:
            self._loop.call_later(PATIENCE, self.flush)
        self._lines.append(line)
        if self._loop is None:
            self.flush()

    def _now(self) -> str:
        """The time as each line begins with it; put into words once a millisecond, as many lines may come in one."""
        millisecond = int(time.time() * 1000)
        if millisecond != self._millisecond:
            self._millisecond = millisecond
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                self._second = second
                self._second_stamp = time.strftime("[%Y-%m-%dT%H:%M:%S.", time.gmtime(second))
            self._stamp = f"{self._second_stamp}{rest:03d}Z] "
        return self._stamp

    def _paint(self, colour: str, text: str) -> str:
        return f"{colour}{text}{_RESET}" if self._colours else text


def _write_line(file: TextIO, line: str) -> None:
    with contextlib.suppress(OSError, ValueError):  # functions go on
        file.write(f"{line}\n")
