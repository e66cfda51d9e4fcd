"""How a failed invocation is told to the host."""

from __future__ import annotations

import traceback
from pathlib import Path

_OWN = str(Path(__file__).resolve().parents[1])


def describe(error: BaseException) -> list[bytes]:
    """Type, message and traceback of what an invocation raised; frames of this package are left out."""
    name = type(error).__name__
    message = f"exit status {error.code!r}" if isinstance(error, SystemExit) else str(error)
    return [part.encode(errors="replace") for part in (name, message, user_traceback(error))]


def user_traceback(error: BaseException) -> str:
    """The traceback of ``error`` without the frames of this package and of the import machinery."""
    summary = traceback.TracebackException.from_exception(error)
    pending = [summary]
    while pending:
        part = pending.pop()
        shown = [frame for frame in part.stack if not frame.filename.startswith((_OWN, "<frozen importlib"))]
        part.stack = traceback.StackSummary.from_list(shown)
        pending += [other for other in (part.__cause__, part.__context__) if other is not None]
        pending += part.exceptions or []
    return "".join(summary.format())
