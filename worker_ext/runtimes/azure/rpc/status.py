"""How something ended, as the host is told."""

from __future__ import annotations

import asyncio

from ....errors import IndexingError, WorkerExtError
from ...failure import LONGEST_TEXT, message_of, user_traceback
from . import functions_rpc_pb2 as pb


def success() -> pb.StatusResult:
    """It has been done."""
    return pb.StatusResult(status=pb.StatusResult.Success)


def failure(error: BaseException) -> pb.StatusResult:
    """It has failed.

    :param error: why; one of ours speaks for itself, one of user code is told with its type and traceback.
    """
    if isinstance(error, WorkerExtError):
        message, trace = str(error), (error.detail or "") if isinstance(error, IndexingError) else ""
    else:
        message, trace = f"{type(error).__name__}: {message_of(error)}", user_traceback(error)
    exception = pb.RpcException(message=sendable(message), stack_trace=sendable(trace))
    return pb.StatusResult(status=pb.StatusResult.Failure, exception=exception)


def ended(error: BaseException, *, cancelled: bool) -> pb.StatusResult:
    """An invocation has raised something.

    :param cancelled: whether the host had asked for that.
    """
    result = failure(error)
    if cancelled and isinstance(error, asyncio.CancelledError):
        result.status = pb.StatusResult.Cancelled
    return result


def sendable(text: str) -> str:
    """Text that a message can carry: not too long, and without what UTF-8 has no bytes for."""
    return text[:LONGEST_TEXT].encode(errors="replace").decode()
