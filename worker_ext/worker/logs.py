"""What user code writes, brought to the invocation that wrote it: log records and prints alike.

The lines of an invocation are kept with it and leave together with its answer: sending each by itself costs a third
of the throughput. What is older than :data:`PATIENCE` when its invocation still runs is sent ahead.
"""

from __future__ import annotations

import asyncio
import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import TextIO

from ..context import Context
from ..invocation import Invocation, LogRecord, current_invocation

PATIENCE = 0.05
"""Seconds after which the lines of an invocation that is still running are sent ahead of its answer."""

DEBUG_SETTING = "PYTHON_ENABLE_DEBUG_LOGGING"

Ship = Callable[[str, list[LogRecord]], None]
"""Sends lines; the first argument is the id of their invocation, empty for lines that belong to none."""


class LogCollector(logging.Handler):
    """Collects the lines of this process by invocation.

    :param loop: the loop on which ``ship`` is called.
    :param ship: sends lines ahead of the answer, and those that belong to no invocation.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ship: Ship) -> None:
        super().__init__()
        self._loop = loop
        self._ship = ship
        self._waiting: deque[tuple[Invocation | None, LogRecord]] = deque()
        self._running: dict[str, Invocation] = {}
        self._due = False
        self._format = logging.Formatter().format

    def createLock(self) -> None:
        """No lock: a line is added by one append, which is atomic already."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record of :mod:`logging` (called by it)."""
        try:
            text = self._format(record) if record.exc_info or record.stack_info else record.getMessage()
        except Exception as error:  # a mistake in the arguments of the user's own call
            text = f"{record.msg!r} % {record.args!r} ({record.pathname}:{record.lineno}) cannot be formatted: {error}"
        self.add(LogRecord(record.levelno, record.name, text))

    def add(self, record: LogRecord) -> None:
        """Take one line. It belongs to the invocation that the calling code serves."""
        invocation = current_invocation.get() or self._claimed()
        if invocation is not None and invocation.context.invocation_id in self._running:
            invocation.logs.append(record)
        else:
            self._waiting.append((invocation, record))
        if not self._due:
            self._due = True
            try:
                self._loop.call_soon_threadsafe(self._loop.call_later, PATIENCE, self._flush)
            except RuntimeError:  # the loop has closed: the process is ending
                sys.__stderr__ and print(record.message, file=sys.__stderr__)

    def begin(self, invocation: Invocation) -> None:
        """From now on lines are kept with ``invocation``."""
        self._running[invocation.context.invocation_id] = invocation

    def end(self, invocation: Invocation) -> list[LogRecord]:
        """The invocation's lines, for its answer. What it writes later still goes out, under its id."""
        self._running.pop(invocation.context.invocation_id, None)
        records, invocation.logs = invocation.logs, []
        return records

    def flush_all(self) -> None:
        """Send everything that waits, at once. Call this on the loop's thread."""
        self._flush()

    def _flush(self) -> None:
        self._due = False
        while self._waiting:
            invocation, record = self._waiting.popleft()
            self._ship(invocation.context.invocation_id if invocation else "", [record])
        for identifier, invocation in list(self._running.items()):
            if invocation.logs:
                records, invocation.logs = invocation.logs, []
                self._ship(identifier, records)

    def _claimed(self) -> Invocation | None:
        claim = getattr(_THREAD_LOCAL_STORAGE, "invocation_id", None)
        return self._running.get(claim) if claim is not None else None


_THREAD_LOCAL_STORAGE = Context("", "", "").thread_local_storage


class PrintStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: each complete line becomes a log line.

    :param collector: takes the lines.
    :param original: the stream that it replaces, for those who ask for its buffer or descriptor.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, collector: LogCollector, original: TextIO) -> None:
        self._collector = collector
        self._original = original
        self._begun = threading.local()

    @property
    def buffer(self) -> io.BufferedIOBase:
        """The bytes stream beneath; what is written there reaches the console without an invocation."""
        return self._original.buffer  # type: ignore[return-value]

    def writable(self) -> bool:
        """Always."""
        return True

    def fileno(self) -> int:
        """The descriptor beneath, so that a child process can be given it."""
        return self._original.fileno()

    def write(self, text: str) -> int:
        """Take ``text``; what follows its last line break waits for the rest of its line."""
        *lines, rest = (getattr(self._begun, "line", "") + text).split("\n")
        self._begun.line = rest
        for line in lines:
            self._collector.add(LogRecord(logging.INFO, "", line.removesuffix("\r")))
        return len(text)

    def flush(self) -> None:
        """Send the line that has been begun, if there is one."""
        line = getattr(self._begun, "line", "")
        if line:
            self._begun.line = ""
            self._collector.add(LogRecord(logging.INFO, "", line))


def capture(collector: LogCollector, environ: Mapping[str, str]) -> None:
    """Route this process's logging and printing to ``collector``.

    The root logger is at INFO, or at DEBUG with ``PYTHON_ENABLE_DEBUG_LOGGING`` set, as on the stock worker.
    """
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if environ.get(DEBUG_SETTING, "").lower() in {"1", "true", "t", "yes", "y"}
                  else logging.INFO)
    root.addHandler(collector)
    logging.captureWarnings(True)
    sys.stdout = PrintStream(collector, sys.__stdout__ or sys.stdout)
    sys.stderr = PrintStream(collector, sys.__stderr__ or sys.stderr)
