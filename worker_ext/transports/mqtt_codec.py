"""MQTT packets, versions 3.1.1 and 5, as far as a client with QoS 0 and 1 needs them.

paho-mqtt, the library that everybody uses, takes 31 µs for the properties of one message of version 5 and three system
calls to receive one; a whole round trip through a worker costs about as much. So the few packets that are needed are
made and read here, many in one piece.

Sources: MQTT 3.1.1, https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/mqtt-v3.1.1.html; MQTT 5,
https://docs.oasis-open.org/mqtt/mqtt/v5.0/mqtt-v5.0.html.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from struct import Struct, error, unpack_from
from typing import Any, NamedTuple

from ..errors import ProtocolError

UserProperties = Sequence[tuple[str, str]]
"""Names and values that a message of MQTT 5 carries; a name may come more than once."""


class Kind(IntEnum):
    """The kinds of packets: the upper four bits of the first byte."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


PINGREQ = bytes((Kind.PINGREQ << 4, 0))
DISCONNECT = bytes((Kind.DISCONNECT << 4, 0))

SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE, USER_PROPERTY = 0x11, 0x21, 0x27, 0x26
"""Identifiers of properties (MQTT 5)."""
SERVER_KEEP_ALIVE = 0x13

_U16, _U32 = Struct(">H"), Struct(">I")
_ACK = Struct(">BBH")
_BYTES = frozenset((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A))
_TWO = frozenset((0x13, 0x21, 0x22, 0x23))
_FOUR = frozenset((0x02, 0x11, 0x18, 0x27))
_TEXTS = frozenset((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F))
_SUBSCRIPTION_IDENTIFIER = 0x0B

_LONGEST_TEXT = 0xFFFF
_NONSENSE = (error, IndexError, UnicodeDecodeError)

_REFUSALS = {
    1: "it does not speak this version of the protocol",
    2: "it rejects the client id",
    3: "it is not available",
    4: "bad user name or password",
    5: "not authorized",
}
_REASONS = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "it does not speak this version of the protocol",
    0x85: "it rejects the client id",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep-alive time-out",
    0x8E: "another client has connected with the same client id",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x99: "payload format invalid",
    0x9E: "shared subscriptions are not supported",
    0xA2: "wildcard subscriptions are not supported",
}
UNTRUSTED = frozenset(_REFUSALS[code] for code in (4, 5))
"""The reasons of a broker that does not know who connects, or does not believe it."""


class Publish(NamedTuple):
    """A message."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    duplicate: bool
    properties: UserProperties


class Connack(NamedTuple):
    """The answer to CONNECT: whether there was a session, the code (0 for yes), and properties by identifier."""

    session_present: bool
    code: int
    properties: dict[int, Any]


def reason(code: int) -> str:
    """What a code of a refusal means."""
    return _REFUSALS.get(code) or _REASONS.get(code) or f"reason code 0x{code:02x}"


def connect(
    client_id: str, keepalive: int, *, modern: bool, username: str | None, password: str | None, receive_maximum: int
) -> bytes:
    """CONNECT, for a session that stays."""
    flags = (0x80 if username is not None else 0) | (0x40 if password is not None else 0)
    body = [_text("MQTT"), bytes((5 if modern else 4, flags)), _U16.pack(keepalive)]
    if modern:
        never = bytes((SESSION_EXPIRY,)) + _U32.pack(0xFFFFFFFF)
        limit = bytes((RECEIVE_MAXIMUM,)) + _U16.pack(receive_maximum)
        body.append(_with_length(never + limit))
    body.append(_text(client_id))
    body += [_text(text) for text in (username, password) if text is not None]
    return _packet(Kind.CONNECT << 4, b"".join(body))


def subscribe(mid: int, topics: Iterable[tuple[str, int]], *, modern: bool) -> bytes:
    """SUBSCRIBE to (topic filter, QoS). In MQTT 5 retained messages come only with a new subscription."""
    options = 0x10 if modern else 0
    # Shared subscriptions must not ask for that: they never get retained messages.
    rows = [_text(topic) + bytes((qos | (0 if topic.startswith("$share/") else options),)) for topic, qos in topics]
    return _packet(Kind.SUBSCRIBE << 4 | 2, _U16.pack(mid) + (b"\0" if modern else b"") + b"".join(rows))


def publish(
    topic: str, payload: bytes, qos: int, mid: int, *, duplicate: bool, modern: bool, properties: UserProperties = ()
) -> bytes:
    """PUBLISH.

    :raises ProtocolError: if the topic cannot be published to, or a text is too long.
    """
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise ProtocolError(f"{topic!r} is no topic that a message can be published to")
    parts = [_text(topic)]
    if qos:
        parts.append(_U16.pack(mid))
    if modern:
        listed = [bytes((USER_PROPERTY,)) + _text(name) + _text(value) for name, value in properties]
        parts.append(_with_length(b"".join(listed)))
    parts.append(payload)
    return _packet(Kind.PUBLISH << 4 | duplicate << 3 | qos << 1, b"".join(parts))


def puback(mid: int) -> bytes:
    """PUBACK, which is the same in both versions where there is nothing to complain of."""
    return _ACK.pack(Kind.PUBACK << 4, 2, mid)


def read_connack(body: bytes, *, modern: bool) -> Connack:
    """Decode CONNACK.

    :raises ProtocolError: if it makes no sense.
    """
    try:
        # A broker that knows only 3.1.1 refuses version 5 in its own words, without properties.
        properties = _properties(body, 2)[0] if modern and len(body) > 2 else {}
        return Connack(bool(body[0] & 1), body[1], properties)
    except _NONSENSE as problem:
        raise _malformed("CONNACK", problem) from None


def read_publish(first: int, body: bytes, *, modern: bool) -> Publish:
    """Decode PUBLISH.

    :param first: the packet's first byte.
    :raises ProtocolError: if it makes no sense.
    """
    try:
        end = 2 + (body[0] << 8 | body[1])
        topic = body[2:end].decode()
        qos, mid = first >> 1 & 3, 0
        if qos:
            mid = body[end] << 8 | body[end + 1]
            end += 2
        properties: UserProperties = ()
        if modern:
            if body[end]:
                found, end = _properties(body, end)
                properties = found.get(USER_PROPERTY, ())
            else:
                end += 1
        return Publish(topic, body[end:], qos, mid, bool(first & 8), properties)
    except _NONSENSE as problem:
        raise _malformed("PUBLISH", problem) from None


def read_ack(body: bytes) -> tuple[int, int]:
    """Decode PUBACK: the message's number, and the reason code, 0 for success.

    :raises ProtocolError: if it makes no sense.
    """
    try:
        return body[0] << 8 | body[1], body[2] if len(body) > 2 else 0
    except _NONSENSE as problem:
        raise _malformed("PUBACK", problem) from None


def read_suback(body: bytes, *, modern: bool) -> tuple[int, bytes]:
    """Decode SUBACK: the number of the SUBSCRIBE, and a code for each of its topics.

    :raises ProtocolError: if it makes no sense.
    """
    try:
        return _U16.unpack_from(body)[0], body[_properties(body, 2)[1] if modern else 2 :]
    except _NONSENSE as problem:
        raise _malformed("SUBACK", problem) from None


class Decoder:
    """Cuts a byte stream into packets, however the stream was chunked.

    :param largest: the most bytes of one packet.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield first byte and body of every packet that ``data`` completes.

        :raises ProtocolError: if a packet is larger than allowed; the stream cannot be used any further.
        """
        if self._buffer:
            data = self._buffer + data
        start, end = 0, len(data)
        while True:
            at = start + 1
            size = shift = 0
            while at < end:
                byte = data[at]
                at += 1
                size |= (byte & 0x7F) << shift
                if byte < 0x80:
                    break
                shift += 7
                if shift > 21:
                    raise ProtocolError("the length of a packet makes no sense")
            else:
                break
            if size > self._largest:
                raise ProtocolError(f"a packet of {size} bytes is larger than the {self._largest} that are allowed")
            if at + size > end:
                break
            first, start = data[start], at + size
            yield first, data[at:start]
        self._buffer = data[start:]


def _properties(body: bytes, at: int) -> tuple[dict[int, Any], int]:
    """Properties by identifier, user properties as a list of pairs; and where they end."""
    size, at = _varint(body, at)
    end = at + size
    found: dict[int, Any] = {}
    while at < end:
        identifier = body[at]
        at += 1
        if identifier == USER_PROPERTY:
            name, at = _read_bytes(body, at)
            value, at = _read_bytes(body, at)
            found.setdefault(identifier, []).append((name.decode(), value.decode()))
        elif identifier in _TEXTS:
            found[identifier], at = _read_bytes(body, at)
        elif identifier in _FOUR:
            found[identifier], at = _U32.unpack_from(body, at)[0], at + 4
        elif identifier in _TWO:
            found[identifier], at = _U16.unpack_from(body, at)[0], at + 2
        elif identifier in _BYTES:
            found[identifier], at = body[at], at + 1
        elif identifier == _SUBSCRIPTION_IDENTIFIER:
            found[identifier], at = _varint(body, at)
        else:
            raise IndexError(f"there is no property 0x{identifier:02x}")
    if at != end or end > len(body):
        raise IndexError("the properties do not add up")
    return found, end


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in (0, 7, 14, 21):
        byte = body[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise IndexError("a number has no end")


def _read_bytes(body: bytes, at: int) -> tuple[bytes, int]:
    (size,) = unpack_from(">H", body, at)
    end = at + 2 + size
    if end > len(body):
        raise IndexError("a text has no end")
    return body[at + 2 : end], end


def _text(text: str) -> bytes:
    data = text.encode()
    if len(data) > _LONGEST_TEXT:
        raise ProtocolError(f"a text of {len(data)} bytes is longer than MQTT allows")
    return _U16.pack(len(data)) + data


def _with_length(data: bytes) -> bytes:
    return _length(len(data)) + data


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes((size,))
    digits = bytearray()
    while True:
        size, digit = size >> 7, size & 0x7F
        digits.append(digit | (0x80 if size else 0))
        if not size:
            break
    if len(digits) > 4:
        raise ProtocolError("a packet is larger than MQTT allows")
    return bytes(digits)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def _malformed(kind: str, problem: Exception) -> ProtocolError:
    return ProtocolError(f"a {kind} packet makes no sense: {problem}")
