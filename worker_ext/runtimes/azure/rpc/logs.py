"""Log lines as the host takes them: one message for each line."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

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


def encode_logs(request_id: str, invocation_id: str, lines: Iterable[LogRecord]) -> list[bytes]:
    """The messages of lines that one invocation has written, or none.

    The host drops a user's line that belongs to no invocation. Such a line is told as one of the worker, so that what
    an app logs while it is imported can be read somewhere.

    Every message is put together from what protobuf has encoded once and the two texts that differ: an invocation
    logs a few lines, and making an object of each took longer than hooks that write them do.

    :param request_id: the id of the stream.
    :param invocation_id: the id of the lines' invocation, empty if they belong to none.
    :param lines: what was written.
    """
    owned = invocation_id != ""
    owner = _field(_INVOCATION_ID, invocation_id) if owned else b""
    encoded = []
    for level, name, message in lines:
        begin, common = _common(request_id, name, level, owned)
        log = b"".join((common, owner, _field(_MESSAGE, message)))
        encoded.append(b"".join((begin, _varint(len(log)), log)))
    return encoded


@lru_cache(1024)
def _common(request_id: str, logger: str, level: int, owned: bool) -> tuple[bytes, bytes]:
    """What all lines of a logger and level have in common: how the message begins, up to the log, and the log."""
    system = not owned or _is_systems(logger)
    log = pb.RpcLog(
        category=_sendable(logger),
        level=level_of(level),
        log_category=_SYSTEM_CATEGORY if system else _USER_CATEGORY,
    )
    return pb.StreamingMessage(request_id=request_id).SerializeToString() + _RPC_LOG, log.SerializeToString()


@lru_cache(1024)
def level_of(level: int) -> int:
    """The host's level for one of :mod:`logging`."""
    return next(number for least, number in _LEVELS if level >= least or not least)


def _is_systems(logger: str) -> bool:
    return logger.partition(".")[0] in _SYSTEM


def _sendable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def _tag(message: Any, field: str) -> bytes:
    """What comes before the value of a field whose length does (https://protobuf.dev/programming-guides/encoding/)."""
    return _varint(message.DESCRIPTOR.fields_by_name[field].number << 3 | 2)


def _field(tag: bytes, text: str) -> bytes:
    encoded = text.encode("utf-8", "replace")
    return tag + _varint(len(encoded)) + encoded


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; all but the last one have the eighth bit set."""
    if number < 0x80:
        return _BYTES[number]
    if number < 0x4000:
        return bytes((number & 0x7F | 0x80, number >> 7))
    return bytes((number & 0x7F | 0x80,)) + _varint(number >> 7)


_BYTES = tuple(bytes((value,)) for value in range(0x80))
_RPC_LOG = _tag(pb.StreamingMessage, "rpc_log")
_INVOCATION_ID, _MESSAGE = _tag(pb.RpcLog, "invocation_id"), _tag(pb.RpcLog, "message")
