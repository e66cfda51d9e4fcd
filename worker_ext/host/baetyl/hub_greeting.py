"""The first packet of a client of the embedded hub: amqtt leaves who speaks another version without an answer."""

from __future__ import annotations

import asyncio

from amqtt.adapters import StreamReaderAdapter

_CONNECT = 0x10
_SPOKEN = (b"MQTT", 4)  # 3.1.1
_VERSIONS = {(b"MQTT", 5): "MQTT 5", (b"MQIsdp", 3): "MQTT 3.1"}
_REFUSALS = {(b"MQTT", 5): b"\x20\x03\x00\x84\x00"}
_REFUSAL = b"\x20\x02\x00\x01"  # unacceptable protocol version
_LONGEST_NAME = 16
_PATIENCE = 10.0  # seconds for the beginning of a packet


class GreetedReader(StreamReaderAdapter):  # type: ignore[misc]  # amqtt tells no types
    """Reads a connection whose first bytes have been read already.

    :param head: those bytes.
    """

    def __init__(self, head: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._head = head

    async def read(self, n: int = -1) -> bytes:
        """Read ``n`` bytes, or all that come (called by amqtt)."""
        if not self._head:
            rest: bytes = await super().read(n)
            return rest
        taken = self._head if n < 0 else self._head[:n]
        self._head = self._head[len(taken) :]
        if len(taken) < n or n < 0:
            taken += await super().read(n - len(taken) if n > 0 else n)
        return taken


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> tuple[GreetedReader | None, str]:
    """Read the beginning of a client's CONNECT. One that the hub does not understand is answered.

    :returns: the reader of the connection, ``None`` if it is of no use; and why, for people, if there is a reason.

    Source: MQTT 3.1.1, sections 3.1.2.2 and 3.2.2.3.
    """
    head = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            head += await reader.readexactly(2)
            while head[-1] & 0x80 and len(head) < 5:  # the packet's length goes on
                head += await reader.readexactly(1)
            start = len(head)
            head += await reader.readexactly(2)
            length = int.from_bytes(head[start:])
            if head[0] != _CONNECT or length > _LONGEST_NAME:
                return None, "The hub has disconnected a client that does not speak MQTT."
            head += await reader.readexactly(length + 1)
    except (OSError, EOFError, TimeoutError):  # it has gone, or says nothing
        return None, ""
    spoken = bytes(head[start + 2 : -1]), head[-1]
    if spoken == _SPOKEN:
        return GreetedReader(bytes(head), reader), ""
    writer.write(_REFUSALS.get(spoken, _REFUSAL))
    version = _VERSIONS.get(spoken, "an unknown version of MQTT")
    return None, f"The hub has disconnected a client that speaks {version}: the embedded hub speaks MQTT 3.1.1."
