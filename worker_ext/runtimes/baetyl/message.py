"""Messages, as they go to a handler and come back: an event and its circumstances in, the bytes of a reply out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from struct import Struct
from typing import Any, NamedTuple

_HEAD = Struct("<Bq")
_to_json = json.JSONEncoder(separators=(", ", ": ")).encode


class Message(NamedTuple):
    """A message that a function is called with.

    :ivar payload: its bytes.
    :ivar topic: the topic that it was published to.
    :ivar qos: its quality of service, 0 or 1.
    :ivar timestamp: when it was received, in seconds since 1970.
    :ivar trace_parent: the W3C ``traceparent`` that came with it, if any.
    :ivar trace_state: the W3C ``tracestate`` that came with it, if any.
    """

    payload: bytes
    topic: str = ""
    qos: int = 0
    timestamp: int = 0
    trace_parent: str = ""
    trace_state: str = ""

    def pack(self) -> list[bytes]:
        """The message as parts of a frame."""
        head = _HEAD.pack(self.qos, self.timestamp)
        return [head, self.topic.encode(), self.trace_parent.encode(), self.trace_state.encode(), self.payload]

    @classmethod
    def unpack(cls, parts: Sequence[bytes]) -> Message:
        """Decode what :meth:`pack` made."""
        head, topic, trace_parent, trace_state, payload = parts
        qos, timestamp = _HEAD.unpack(head)
        return cls(payload, topic.decode(), qos, timestamp, trace_parent.decode(), trace_state.decode())

    def event(self) -> Any:
        """What the handler is given: ``{}`` for no payload, the value of JSON, the bytes of anything else."""
        if not self.payload:
            return {}
        try:
            return json.loads(self.payload)
        except (ValueError, RecursionError):
            return self.payload


def encode_reply(value: Any) -> bytes:
    """The bytes of what a handler returned: none for ``None``, bytes as they are, anything else as JSON.

    :raises TypeError: if JSON cannot say it.
    :raises ValueError: if it contains itself.
    """
    if value is None:
        return b""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    return _to_json(value).encode()
