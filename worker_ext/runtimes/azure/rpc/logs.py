"""Log lines as the host takes them: one message for each line."""

from __future__ import annotations

import logging

from ....invocation import LogRecord
from . import functions_rpc_pb2 as pb

_SYSTEM = ("worker_ext", "azure_functions_worker", "azure_functions_runtime")
"""The loggers, with what is below them, whose lines are the worker's own and not the app's."""

_USER_CATEGORY = pb.RpcLog.RpcLogCategory.Value("User")
_SYSTEM_CATEGORY = pb.RpcLog.RpcLogCategory.Value("System")

_LEVELS: tuple[tuple[int, int], ...] = tuple(
    (least, pb.RpcLog.Level.Value(name))
    for least, name in (
        (logging.CRITICAL, "Critical"),
        (logging.ERROR, "Error"),
        (logging.WARNING, "Warning"),
        (logging.INFO, "Information"),
        (logging.DEBUG, "Debug"),
        (1, "Trace"),
        (0, "None"),
    )
)


def encode_log(request_id: str, invocation_id: str, line: LogRecord) -> bytes:
    """The message of one line.

    The host drops a user's line that belongs to no invocation. Such a line is told as one of the worker, so that what
    an app logs while it is imported can be read somewhere.

    :param request_id: the id of the stream.
    :param invocation_id: the id of the line's invocation, empty if it belongs to none.
    """
    system = not invocation_id or line.name.partition(".")[0] in _SYSTEM
    message = pb.StreamingMessage(request_id=request_id)
    log = message.rpc_log
    log.invocation_id = invocation_id
    log.category = line.name
    log.level = level_of(line.level)
    log.message = _sendable(line.message)
    log.log_category = _SYSTEM_CATEGORY if system else _USER_CATEGORY
    encoded: bytes = message.SerializeToString()
    return encoded


def level_of(level: int) -> int:
    """The host's level for one of :mod:`logging`."""
    return next(number for least, number in _LEVELS if level >= least or not least)


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
