"""What user code writes, brought to the invocation that wrote it: log records and prints alike.

The lines of an invocation are kept with it and leave together with its answer: sending each by itself costs a third
of the throughput. What is older than :data:`PATIENCE` when its invocation still runs is sent ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from typing import TextIO

from ..context import thread_local_storage
from ..hooks.switches import is_on
from ..invocation import MOST_LINES, Invocation, LogRecord, current_invocation
from . import log_shortcut

PATIENCE = 0.05
"""Seconds after which the lines of an invocation that is still running are sent ahead of its answer."""

LINES_AT_ONCE = 200
"""The most lines that are sent together, so that they fit into one frame."""

LONGEST_LINE = 256 * 1024
"""The most characters of one line; what is longer is cut."""

DEBUG_SETTING = "PYTHON_ENABLE_DEBUG_LOGGING"
"""The setting that has lines of level DEBUG collected too."""

Review = Callable[[Invocation | None, LogRecord], LogRecord | None]
"""What becomes of a line of an invocation, or of none: itself, another in its place, or ``None`` to drop it."""

Ship = Callable[[str, list[LogRecord]], None]
"""Sends lines; the first argument is the id of their invocation, empty for lines that belong to none."""


class LogCollector(logging.Handler):
    """Collects the lines of this process by invocation. Lines may come from any thread.

    :param loop: the loop on which lines are sent that cannot wait for an answer.
    :param ship: sends lines ahead of the answer, and those that belong to no invocation.
    :ivar review: sees every line first, on the thread that wrote it.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ship: Ship) -> None:
        super().__init__()
        self.review: Review | None = None
        self._loop = loop
        self._ship = ship
        self._running: dict[str, Invocation] = {}
        self._late: deque[Invocation] = deque()  # those that wrote something after their answer
        self._unowned: deque[LogRecord] = deque(maxlen=MOST_LINES)
        self._unowned_begun: dict[tuple[int, int], str] = {}
        self._due = False
        self._at_once = False  # whether lines of no invocation are sent as they come
        self._took = threading.local()

    def createLock(self) -> None:
        """No lock: a line is added by one append, which is atomic already (called by :mod:`logging`)."""
        self.lock = None

    def handle(self, record: logging.LogRecord) -> bool | logging.LogRecord:  # type: ignore[override]
        """Take a record unless a filter rejects it (called by :mod:`logging`, from Python 3.13 on with a lock)."""
        kept = self.filter(record)
        if kept:
            self.emit(kept if isinstance(kept, logging.LogRecord) else record)
        return kept

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record. Without a formatter of the app's own, its text is the message and any traceback."""
        try:
            plain = self.formatter is None and not record.exc_info and not record.stack_info
            text = record.getMessage() if plain else self.format(record)
        except Exception as error:  # a mistake in the arguments of the user's own call
            message = f"the line {record.msg!r}" if isinstance(record.msg, str) else "a line"
            text = f"{message} ({record.pathname}:{record.lineno}) cannot be formatted: {error!r}"
        self.add(LogRecord(record.levelno, record.name, text))

    def add(self, record: LogRecord) -> None:
        """Take one line. It belongs to the invocation that the calling code serves."""
        self._add(self._owner(), record)

    def print(self, text: str, stream: int) -> None:
        """Take printed text. What follows its last line break waits for the rest of its line.

        :param stream: tells the streams apart.
        """
        owner = self._owner()
        begun = self._unowned_begun if owner is None else owner.begun
        key = stream, threading.get_ident()
        *lines, rest = (begun.pop(key, "") + text).split("\n")
        for line in lines:
            self._add(owner, _printed(line))
        if len(rest) > LONGEST_LINE:
            self._add(owner, _printed(rest))
        elif rest:
            begun[key] = rest

    def end_line(self, stream: int) -> None:
        """Take the line that this thread has begun on a stream as if it were complete."""
        owner = self._owner()
        begun = self._unowned_begun if owner is None else owner.begun
        rest = begun.pop((stream, threading.get_ident()), "")
        if rest:
            self._add(owner, _printed(rest))

    def begin(self, invocation: Invocation) -> None:
        """From now on what ``invocation`` writes is sent while it runs, or given to :meth:`end`."""
        self._running[invocation.id] = invocation

    def running(self, invocation_id: str) -> Invocation | None:
        """The invocation of that id, if it is running."""
        return self._running.get(invocation_id)

    def end(self, invocation: Invocation) -> list[LogRecord]:
        """The invocation's lines, for its answer. What it writes later still goes out, under its id."""
        self._running.pop(invocation.id, None)
        if invocation.begun:
            for key in list(invocation.begun):
                self._add(invocation, _printed(invocation.begun.pop(key, "")))
        invocation.ended = True  # before its lines are taken: whoever writes one later sees to it being sent
        lines = _take(invocation.logs) if invocation.logs else []
        if len(lines) > LINES_AT_ONCE:
            self._send(invocation.id, lines[:-LINES_AT_ONCE])
            lines = lines[-LINES_AT_ONCE:]
        return lines

    @contextlib.contextmanager
    def without_delay(self) -> Iterator[None]:
        """While the block runs, send lines of no invocation as they come: what runs may end the process."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def send_at_once(self, invocation: Invocation, record: LogRecord) -> None:
        """Send a line without waiting for the loop, which may be blocked. It can be called on any thread."""
        self._ship(invocation.id, [record])

    def flush_all(self) -> None:
        """Send everything that waits, at once. Call this on the loop's thread."""
        self._due = False  # before the lines are taken: one that comes now asks for another flush
        self._send("", _take(self._unowned))
        while self._late:
            late = self._late.popleft()
            self._send(late.id, _take(late.logs))
        for invocation in self._running.copy().values():
            self._send(invocation.id, _take(invocation.logs))

    def _owner(self) -> Invocation | None:
        """The invocation that the calling code serves; if that has ended, the one that the thread claims."""
        invocation = current_invocation.get()
        if invocation is None or invocation.ended:
            claim = getattr(thread_local_storage, "invocation_id", None)
            if claim is not None:
                return self._running.get(claim, invocation)
        return invocation

    def _add(self, owner: Invocation | None, record: LogRecord) -> None:
        self._took.line = True
        if self.review is not None:
            reviewed = self.review(owner, record)
            if reviewed is None:
                return
            record = reviewed
        if len(record.message) > LONGEST_LINE:
            record = record._replace(message=_cut(record.message))
        if owner is None:
            self._unowned.append(record)
            if self._at_once:
                self._send("", _take(self._unowned))
                return
        else:
            owner.logs.append(record)
            if owner.ended:
                self._late.append(owner)
        if not self._due:
            self._due = True
            try:
                self._loop.call_soon_threadsafe(self._loop.call_later, PATIENCE, self.flush_all)
            except RuntimeError:  # the loop has closed: this is all that can be done for those who look
                self._ship = _write_out
                self.flush_all()

    def _send(self, invocation_id: str, lines: list[LogRecord]) -> None:
        for at in range(0, len(lines), LINES_AT_ONCE):
            self._ship(invocation_id, lines[at : at + LINES_AT_ONCE])

    def collect(self, record: logging.LogRecord, call_handlers: Callable[[], None]) -> None:
        """Have handlers that are not the collector's called, and take the record unless they print it."""
        self._took.line = False
        call_handlers()
        if not self._took.line and record.levelno >= self.level:
            self.handle(record)


def _take(lines: deque[LogRecord]) -> list[LogRecord]:
    """Take all lines that there are. Another thread may be adding or taking some."""
    taken: list[LogRecord] = []
    if lines and len(lines) == lines.maxlen:
        taken.append(LogRecord(logging.WARNING, "worker_ext", "older lines were left out: too many waited to be sent"))
    try:
        while lines:
            taken.append(lines.popleft())
    except IndexError:  # the other thread took the last one
        pass
    return taken


def _cut(text: str) -> str:
    return f"{text[:LONGEST_LINE]}... ({len(text) - LONGEST_LINE} more characters)"


def _printed(line: str) -> LogRecord:
    return LogRecord(logging.INFO, "", line.removesuffix("\r"))


def _write_out(_invocation_id: str, lines: list[LogRecord]) -> None:
    if sys.__stderr__ is not None:
        print(*(line.message for line in lines), sep="\n", file=sys.__stderr__)


class PrintStream(io.TextIOBase):
    """Stands in for ``sys.stdout`` or ``sys.stderr``: each complete line becomes a log line.

    :param collector: takes the lines.
    :param original: the stream that it replaces, for those who ask for its buffer or descriptor.
    """

    encoding = "utf-8"
    errors = "backslashreplace"
    line_buffering = True

    def __init__(self, collector: LogCollector, original: TextIO) -> None:
        self._collector = collector
        self._original = original

    @property
    def name(self) -> str:
        """The name of the stream beneath."""
        return self._original.name

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

    def reconfigure(self, **_options: object) -> None:
        """Nothing to do: apps call this to have their text encoded as they like, and here none is encoded."""

    def write(self, text: str) -> int:
        """Take ``text``; what follows its last line break waits for the rest of its line."""
        self._collector.print(text, id(self))
        return len(text)

    def flush(self) -> None:
        """Send the line that this thread has begun, if there is one."""
        self._collector.end_line(id(self))


def capture(collector: LogCollector, environ: Mapping[str, str]) -> None:
    """Route this process's logging and printing to ``collector``."""
    root = logging.getLogger()
    set_level(environ)
    root.addHandler(collector)
    _stay(collector, root)
    log_shortcut.install(collector, collector.add)
    logging.captureWarnings(True)
    sys.stdout = PrintStream(collector, sys.__stdout__ or sys.stdout)
    sys.stderr = PrintStream(collector, sys.__stderr__ or sys.stderr)


def set_level(environ: Mapping[str, str]) -> None:
    """Set the root logger to INFO, or to DEBUG if :data:`DEBUG_SETTING` is on, as on the stock worker."""
    logging.getLogger().setLevel(logging.DEBUG if is_on(DEBUG_SETTING, environ) else logging.INFO)


def _stay(collector: LogCollector, root: logging.Logger) -> None:
    """Have records reach the collector even when the app has taken it from the root logger.

    ``logging.basicConfig(force=True)`` and :mod:`logging.config` remove all handlers that they do not know. If those
    that are there instead print a record, it has reached the collector in the form that the app wants.
    """
    call_handlers = logging.Logger.callHandlers

    @wraps(call_handlers)
    def call_handlers_and_collect(self: logging.Logger, record: logging.LogRecord) -> None:
        if collector in root.handlers or not _reaches(root, self):
            call_handlers(self, record)
        else:
            collector.collect(record, lambda: call_handlers(self, record))

    setattr(logging.Logger, "callHandlers", call_handlers_and_collect)  # noqa: B010


def _reaches(root: logging.Logger, logger: logging.Logger | None) -> bool:
    while logger is not None and logger is not root:
        logger = logger.parent if logger.propagate else None
    return logger is root
