"""What the local host and its workers say to each other, in frames of :mod:`worker_ext.transports.frames`.

=========  ==============  =====================================================================================
kind       direction       parts
=========  ==============  =====================================================================================
HELLO      worker → host   secret, JSON of the process (pid, python)
READY      worker → host   JSON of the app: its functions, those in error, its extensions
BROKEN     worker → host   JSON of why the app cannot be loaded (:func:`pack_error`); the worker then ends
INVOKE     host → worker   function name, invocation id, then what the trigger gives
RESULT     worker → host   head (:data:`RESULT_HEAD`), the log lines, the outputs, then the answer's own parts
FAILURE    worker → host   number of log lines (u16), the log lines, exception type, message, traceback
LOG        worker → host   invocation id, one log line or more
CANCEL     host → worker   (the call number says which)
STOP       host → worker   finish what is running, then end
RECORD     host → worker   from now on, send a TIMELINE before each RESULT and FAILURE
TIMELINE   worker → host   JSON of what has run for an invocation (:func:`pack_timeline`)
HEALTH     host → worker   asks which extensions cannot do their work
HEALTH     worker → host   JSON of these, each with its reason (:func:`unpack_health`)
=========  ==============  =====================================================================================

A log line is three parts: level as decimal digits, logger name, text. So is an output: the binding's name, the kind
of its data (``string``, ``bytes``, ``json``, ...), the data. Texts are UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import Any

from ..errors import IndexingError, ProtocolError, WorkerExtError
from ..invocation import LogRecord, TimelineEntry

EVENTS_VARIABLE = "FUNCTIONS_ENABLE_JSON_OUTPUT"
"""Set to ``true`` if whoever has started the host wants events; Azure's tools name it so."""

EVENT_PREFIX = "azfuncjsonlog:"
"""What a line on a worker's standard output begins with if JSON for tools follows, on Azure's host as on this one."""

SECRET_VARIABLE = "WORKER_EXT_SECRET"
"""The environment variable that hands the connection's secret to the worker, which removes it at once."""

RESULT_HEAD = Struct("<HHH")
"""Number of log lines, number of outputs, and the status of an HTTP answer (0 for other triggers)."""

COUNT = Struct("<H")

_to_json = json.JSONEncoder(separators=(",", ":")).encode

_MAX_ENTRIES = 1000  # of a timeline, which grows with every repetition that an around hook makes
_MAX_ERROR = 1000  # characters of what a step of it raised
_MAX_LINES = 20_000  # three parts each: what fits in one frame with room for the rest
_MAX_LOG_BYTES = 64 * 1024 * 1024


class Kind(IntEnum):
    """The kinds of frames."""

    HELLO = 1
    READY = 2
    BROKEN = 3
    INVOKE = 4
    RESULT = 5
    FAILURE = 6
    LOG = 7
    CANCEL = 8
    STOP = 9
    RECORD = 10
    TIMELINE = 11
    HEALTH = 12


def pack_lines(records: Sequence[LogRecord]) -> list[bytes]:
    """Encode log lines; the oldest ones are left out where there is too much for one frame."""
    parts: list[bytes] = []
    for level, name, message in records[-_MAX_LINES:]:
        parts += (b"%d" % level, name.encode(errors="replace"), message.encode(errors="replace"))
    size, start = sum(map(len, parts)), 0
    while size > _MAX_LOG_BYTES:  # an answer must not be lost for what was logged on the way to it
        size -= sum(map(len, parts[start : start + 3]))
        start += 3
    return parts[start:] if start else parts


def unpack_lines(parts: Sequence[bytes]) -> list[LogRecord]:
    """Decode what :func:`pack_lines` made.

    :raises ProtocolError: if it did not.
    """
    try:
        return [
            LogRecord(int(parts[at]), parts[at + 1].decode(), parts[at + 2].decode()) for at in range(0, len(parts), 3)
        ]
    except (ValueError, IndexError) as error:
        raise ProtocolError(f"log lines cannot be decoded: {error}") from None


def pack_timeline(entries: Sequence[TimelineEntry]) -> bytes:
    """Encode a timeline; of a very long one the beginning."""
    return pack_json([(*entry[:4], entry.error[:_MAX_ERROR]) for entry in entries[:_MAX_ENTRIES]])


def unpack_timeline(data: bytes) -> list[TimelineEntry]:
    """Decode what :func:`pack_timeline` made.

    :raises ProtocolError: if it did not.
    """
    try:
        return [
            TimelineEntry(str(extension), str(name), float(start), float(duration), str(error))
            for extension, name, start, duration, error in unpack_json(data)
        ]
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a timeline cannot be decoded: {error}") from None


def unpack_health(data: bytes) -> list[tuple[str, str]]:
    """Decode the extensions that cannot do their work, each with its reason.

    :raises ProtocolError: if that is not what it is.
    """
    try:
        return [(str(extension), str(reason)) for extension, reason in unpack_json(data)]
    except (TypeError, ValueError) as error:
        raise ProtocolError(f"a worker's health cannot be decoded: {error}") from None


def pack_error(error: WorkerExtError) -> dict[str, Any]:
    """An error as JSON can carry it."""
    fields = {"message": error.message, "file": error.file, "line": error.line, "hint": error.hint}
    if isinstance(error, IndexingError):
        fields |= {"function": error.function, "detail": error.detail}
    return fields


def unpack_error(fields: dict[str, Any]) -> IndexingError:
    """The error that :func:`pack_error` packed."""
    return IndexingError(
        fields["message"],
        file=fields.get("file"),
        line=fields.get("line"),
        hint=fields.get("hint"),
        function=fields.get("function"),
        detail=fields.get("detail"),
    )


def pack_json(value: Any) -> bytes:
    """Encode ``value`` as compact JSON."""
    return _to_json(value).encode()


def unpack_json(data: bytes) -> Any:
    """Decode JSON from the other side.

    :raises ProtocolError: if it is none.
    """
    try:
        return json.loads(data.decode())  # json would take longer to find out that it is UTF-8
    except ValueError as error:
        raise ProtocolError(f"a message is not JSON: {error}") from None
