"""The third noun: one call of a function, with all that belongs to it."""

from __future__ import annotations

from collections import deque
from contextvars import ContextVar
from typing import Any, NamedTuple

from .context import Context
from .function import Function


class LogRecord(NamedTuple):
    """One line that a function, a hook or a library wrote while serving an invocation.

    :ivar level: a number of :mod:`logging`.
    :ivar name: the logger's name; empty for what was printed.
    :ivar message: the text, with the traceback if there was one.
    """

    level: int
    name: str
    message: str


class LogLine:
    """A :class:`LogRecord` on its way, as the ``on_log`` hooks of extensions see and change it.

    :param record: the line as it was written.
    :param context: of the invocation that has written it, if one has.
    """

    __slots__ = ("context", "level", "message", "name")

    def __init__(self, record: LogRecord, context: Context | None) -> None:
        self.level, self.name, self.message = record
        self.context = context


class TimelineEntry(NamedTuple):
    """One thing that was run for an invocation: a hook, or the function.

    :ivar extension: the extension whose hook it is; empty for the function.
    :ivar name: the name of the hook or of the function.
    :ivar start: when it began, in seconds since the first of all.
    :ivar duration: how many seconds it took; of an ``around`` hook, with all that ran inside it.
    :ivar error: the ``repr`` of what it raised; empty if it raised nothing.
    """

    extension: str
    name: str
    start: float
    duration: float
    error: str


MOST_LINES = 100_000
"""How many log lines one invocation keeps until they can be sent; the oldest go first."""


class Invocation:
    """One call of one function.

    :param function: what is called.
    :param arguments: its arguments by name; hooks see and may change this very dict.
    :param context: what hooks and function are told about the call.
    :ivar id: the context's ``invocation_id``, even if a hook has changed it there.
    :ivar logs: the lines that it has written and that have not been sent yet.
    :ivar begun: the printed lines that lack their end, by stream and thread.
    :ivar ended: whether its outcome has been told.
    :ivar timeline: what has run for it, in the order of its beginnings; ``None`` unless somebody wants to know.
    :ivar at: the hook that is running, ``None`` while none is.
    """

    __slots__ = ("arguments", "at", "begun", "context", "ended", "function", "id", "logs", "timeline")

    def __init__(self, function: Function, arguments: dict[str, Any], context: Context) -> None:
        self.function = function
        self.arguments = arguments
        self.context = context
        self.id = context.invocation_id
        self.logs: deque[LogRecord] = deque(maxlen=MOST_LINES)
        self.begun: dict[tuple[int, int], str] = {}
        self.ended = False
        self.timeline: list[TimelineEntry] | None = None
        self.at: Any = None


class Outcome(NamedTuple):
    """How an invocation ended.

    :ivar value: what the function returned, ``None`` if it failed.
    :ivar error: what it raised, ``None`` if it succeeded.
    """

    value: Any
    error: BaseException | None


current_invocation: ContextVar[Invocation | None] = ContextVar("current_invocation", default=None)
"""The invocation that the running code serves, in tasks and threads that it started as well."""
