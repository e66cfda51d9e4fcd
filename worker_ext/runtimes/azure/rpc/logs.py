"""Log lines as the host takes them: one message for each line."""

from __future__ import annotations

import logging
from functools import lru_cache

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
    system = not invocation_id or _is_systems(line.name)
    log = pb.RpcLog(
        invocation_id=invocation_id,
        category=line.name,
        level=level_of(line.level),
        message=_sendable(line.message),
        log_category=_SYSTEM_CATEGORY if system else _USER_CATEGORY,
    )
    encoded: bytes = pb.StreamingMessage(request_id=request_id, rpc_log=log).SerializeToString()
    return encoded


@lru_cache(1024)
def level_of(level: int) -> int:
    """The host's level for one of :mod:`logging`."""
    return next(number for least, number in _LEVELS if level >= least or not least)


@lru_cache(1024)
def _is_systems(logger: str) -> bool:
    return logger.partition(".")[0] in _SYSTEM


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()
