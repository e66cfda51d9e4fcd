"""The short way of a log line from the call that writes it to the collector.

Most of a line's cost in :mod:`logging` is a record of when, where and in which thread it was written. Where the
collector is the only one who would be given that record, and keeps nothing of it but its text, there need not be any: a
line then costs a third. Hooks and functions log around every invocation, so that counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from ..invocation import LogRecord

_PLAIN = (logging.Logger, logging.RootLogger)


def install(collector: logging.Handler, add: Callable[[LogRecord], None]) -> None:
    """From now on give lines straight to the collector where nobody else would see them, nor change what it sees.

    :param collector: a handler of the root logger that makes nothing of a record but a line.
    :param add: has it take a line.

    To be called when everything else that wants to has been put into :class:`logging.Logger`: whoever replaces a method
    of it later, as libraries do that report errors, is to see every record, and so ends the short way.
    """
    log = logging.Logger._log
    handle, make, call = logging.Logger.handle, logging.Logger.makeRecord, logging.Logger.callHandlers
    root = logging.root

    def is_alone(logger: logging.Logger, level: int) -> bool:
        """Whether a record of ``logger`` would be seen by the collector alone, as it has been made."""
        if type(logger) not in _PLAIN or logger.filters or len(root.handlers) != 1:
            return False
        found: logging.Logger | None = logger
        while found is not root:
            if found is None or found.handlers or not found.propagate:
                return False
            found = found.parent
        cls = logging.Logger
        return (
            root.handlers[0] is collector
            and level >= collector.level
            and collector.formatter is None
            and not collector.filters
            and logging.getLogRecordFactory() is logging.LogRecord
            and cls.handle is handle
            and cls.makeRecord is make
            and cls.callHandlers is call
        )

    @wraps(log)
    def log_straight(self: logging.Logger, level: int, msg: object, args: Any, *rest: Any, **details: Any) -> None:
        if not rest and not details and is_alone(self, level):
            try:
                text = str(msg) % args if args else str(msg)
            except Exception:  # a mapping as the only argument, or a mistake, which the usual way reports
                pass
            else:
                # As LogRecord(...) does, without the detour through Python that every named tuple makes there.
                add(tuple.__new__(LogRecord, (level, self.name, text)))
                return
        if len(rest) < 4:  # stacklevel, which does not count this function
            details["stacklevel"] = details.get("stacklevel", 1) + 1
        log(self, level, msg, args, *rest, **details)

    setattr(logging.Logger, "_log", log_straight)  # noqa: B010
