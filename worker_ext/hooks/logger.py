"""The logger that hooks are given.

Hooks log around every invocation, so what a line costs counts twice. Most of a line's cost in :mod:`logging` is a
record of where it was written, which nobody sees when the one handler there is keeps only the text.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import Any

from ..invocation import LogRecord


class LineHandler(logging.Handler):
    """A handler that keeps of a record only what a :class:`~worker_ext.invocation.LogRecord` has."""

    @abstractmethod
    def add(self, record: LogRecord) -> None:
        """Take one line."""

    def takes_lines(self, level: int) -> bool:
        """Whether a line of this level can be added as it is: nobody has changed which records it takes, or how."""
        return level >= self.level and self.formatter is None and not self.filters


def hook_logger(name: str) -> logging.Logger:
    """The logger of an extension: the one of that name, or one that differs from it only in being faster."""
    named = logging.getLogger(name)
    return _HookLogger(named) if type(named) is logging.Logger else named


class _HookLogger(logging.Logger):
    """Shares everything with another logger, so that what is set on either is set on both.

    If nobody has given that logger handlers or filters, and the root logger's one handler takes finished lines, a
    line goes straight there; otherwise everything goes its usual way.
    """

    def __init__(self, named: logging.Logger) -> None:
        self.__dict__ = named.__dict__

    def _log(self, level: int, msg: object, args: Any, *rest: Any, **details: Any) -> None:
        handler = None if rest or details else self._sole_handler(level)
        if handler is None:
            super()._log(level, msg, args, *rest, **{**details, "stacklevel": details.get("stacklevel", 1) + 1})
            return
        try:
            text = str(msg) % args if args else str(msg)
        except Exception:  # a mapping as the only argument, or a mistake, which the usual way reports
            super()._log(level, msg, args, stacklevel=2)
        else:
            handler.add(LogRecord(level, self.name, text))

    def _sole_handler(self, level: int) -> LineHandler | None:
        """The handler that would be the only one to see a record, and sees nothing of it but its text."""
        root = logging.root
        if self.handlers or self.filters or not self.propagate or self.parent is not root or len(root.handlers) != 1:
            return None
        handler = root.handlers[0]
        if not isinstance(handler, LineHandler) or not handler.takes_lines(level):
            return None
        return handler if logging.getLogRecordFactory() is logging.LogRecord else None
