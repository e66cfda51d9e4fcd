"""The ``on_log`` hooks in stock workers: they see what user code logs before the worker's own handlers do.

What is printed does not pass here, nor what the runtime itself has to say.
"""

from __future__ import annotations

import copy
import logging
from functools import cache, wraps

from ..hooks.log_review import LogReview
from ..hooks.registry import Registry
from ..invocation import LogRecord, current_invocation

_SYSTEM = ("azure.functions", "azure_functions", "proxy_worker")
"""What the names of the loggers of Azure's packages begin with."""

_plain = logging.Formatter()


@cache
def review_by(registry: Registry) -> None:
    """From now on pass the records of this process through the ``on_log`` hooks."""
    review = LogReview(registry)
    call_handlers = logging.Logger.callHandlers

    @wraps(call_handlers)
    def review_and_call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        if not record.name.startswith(_SYSTEM):
            reviewed = _reviewed(record, review)
            if reviewed is None:
                return
            record = reviewed
        call_handlers(self, record)

    setattr(logging.Logger, "callHandlers", review_and_call_handlers)  # noqa: B010


def _reviewed(record: logging.LogRecord, review: LogReview) -> logging.LogRecord | None:
    try:
        line = LogRecord(record.levelno, record.name, _plain.format(record))
    except Exception:  # a mistake in the arguments of the user's own call, which the handlers report
        return record
    reviewed = review(current_invocation.get(), line)
    if reviewed is None or reviewed == line:
        return record if reviewed is not None else None
    changed = copy.copy(record)
    changed.levelno, changed.name, changed.msg = reviewed
    changed.levelname = logging.getLevelName(reviewed.level)
    changed.args = changed.exc_info = changed.exc_text = changed.stack_info = None
    return changed
