"""Messages of the Debug Adapter Protocol: JSON objects, each behind a header with its length.

Source: https://microsoft.github.io/debug-adapter-protocol/overview#base-protocol
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..errors import ProtocolError

MAX_BYTES = 64 * 1024 * 1024
_MAX_HEADER_LINES = 16


async def read_message(reader: asyncio.StreamReader) -> dict[str, Any] | None:
    """The next message; None at the end of the stream.

    :raises ProtocolError: what comes is no message, or one of more than :data:`MAX_BYTES`.
    :raises OSError: the connection broke.
    """
    length = None
    try:
        for _ in range(_MAX_HEADER_LINES):
            line = await reader.readline()
            if not line:
                return None
            if not line.strip():
                break
            name, _, value = line.partition(b":")
            if name.strip().lower() == b"content-length":
                length = int(value)
        if length is None or not 0 <= length <= MAX_BYTES:
            raise ProtocolError(f"a debugger's message has the length {length}")
        message = json.loads(await reader.readexactly(length))
    except asyncio.IncompleteReadError:
        return None
    except ValueError as error:  # of int, json, or a line that is too long
        raise ProtocolError(f"what a debugger sent is no message: {error}") from None
    if not isinstance(message, dict):
        raise ProtocolError("what a debugger sent is no JSON object")
    return message


def encode_message(message: dict[str, Any]) -> bytes:
    """A message as it is sent."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
