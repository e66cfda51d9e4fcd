"""What user code raised, told without the machinery that called it."""

from __future__ import annotations

import importlib
import os
import traceback
from pathlib import Path

_HIDDEN = (str(Path(__file__).resolve().parents[1]) + os.sep, "<frozen importlib", str(importlib.__file__))


LONGEST_TEXT = 1024 * 1024
"""The most characters of a message or a traceback that are told; the rest is cut off."""


def describe(error: BaseException) -> list[bytes]:
    """Type, message and traceback of what an invocation raised."""
    texts = (type(error).__name__, message_of(error), user_traceback(error))
    return [text[:LONGEST_TEXT].encode(errors="replace") for text in texts]


def message_of(error: BaseException) -> str:
    """The message of ``error``, which may be of a class that cannot say it."""
    if isinstance(error, SystemExit):
        return f"exit status {error.code!r}"
    try:
        return str(error)
    except BaseException:
        return "(its message cannot be read)"


def user_traceback(error: BaseException) -> str:
    """The traceback of ``error`` without the frames of this package and of the import machinery."""
    summary = traceback.TracebackException.from_exception(error)
    pending = [summary]
    while pending:
        part = pending.pop()
        shown = [frame for frame in part.stack if not frame.filename.startswith(_HIDDEN)]
        part.stack = traceback.StackSummary.from_list(shown)
        pending += [other for other in (part.__cause__, part.__context__) if other is not None]
        pending += part.exceptions or []
    return "".join(summary.format())
