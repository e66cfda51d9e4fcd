"""Frames: the wire format between the local host and its worker processes.

A frame is a kind, a call number and a list of byte strings ("parts"); what the parts of each kind mean is
written in :mod:`worker_ext.runtimes.protocol`. Little-endian::

    u32  bytes that follow          u8   kind          u32  call          u16  number of parts
    u32  length of each part …      the parts, one after the other

The format has lengths and nothing else to interpret, so a decoder needs no escaping, no recursion and no
trust in the sender beyond :data:`MAX_FRAME`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from struct import Struct
from typing import NamedTuple, TypeVar

from ..errors import ProtocolError
from .any_thread import AnyThreadProtocol

MAX_FRAME = 256 * 1024 * 1024
"""The largest frame that is accepted, in bytes: a 100 MB body with its headers, and room to spare."""

MAX_PARTS = 0xFFFF
"""The most parts that a frame can have."""

_PREFIX = Struct("<IBIH")
_LENGTH = 4  # bytes of the leading u32, which does not count itself

_Sliced = TypeVar("_Sliced", bytes, memoryview)


class Frame(NamedTuple):
    """One decoded frame.

    :ivar kind: what the frame is, 0 to 255.
    :ivar call: the number that ties an answer to its question; 0 where there is none.
    :ivar parts: the payload.
    """

    kind: int
    call: int
    parts: list[bytes]


@lru_cache(maxsize=512)
def _head(count: int) -> Struct:
    return Struct(f"<IBIH{count}I")


@lru_cache(maxsize=512)
def _lengths(count: int) -> Struct:
    return Struct(f"<{count}I")


def encode(kind: int, call: int, parts: Sequence[bytes]) -> bytes:
    """Encode one frame.

    :param kind: 0 to 255.
    :param call: 0 to 2**32 - 1.
    :param parts: at most :data:`MAX_PARTS` byte strings.
    :raises ProtocolError: if there are too many parts or the frame would exceed :data:`MAX_FRAME`.
    """
    count = len(parts)
    lengths = [len(part) for part in parts]
    size = _PREFIX.size - _LENGTH + 4 * count + sum(lengths)
    if count > MAX_PARTS or size > MAX_FRAME:
        raise ProtocolError(f"a frame of {count} parts and {size} bytes is larger than the protocol allows")
    return b"".join((_head(count).pack(size, kind, call, count, *lengths), *parts))


class Decoder:
    """Cuts a byte stream into frames, however the stream was chunked."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield every frame that ``data`` completes.

        :raises ProtocolError: if a frame announces impossible sizes; the stream cannot be used any further.
        """
        buffer: bytes | bytearray = data
        if self._buffer:
            self._buffer += data
            buffer = self._buffer
        start, end = 0, len(buffer)
        while end - start >= _PREFIX.size:
            size, kind, call, count = _PREFIX.unpack_from(buffer, start)
            stop = start + _LENGTH + size
            at = start + _PREFIX.size + 4 * count
            if size > MAX_FRAME or at > stop:
                raise ProtocolError(f"a frame announces {size} bytes and {count} parts, which cannot be")
            if stop > end:
                break
            lengths = _lengths(count).unpack_from(buffer, start + _PREFIX.size)
            if at + sum(lengths) != stop:
                raise ProtocolError("the parts of a frame do not add up to its size")
            if buffer is data:  # most frames come in one piece, and slices of it are what is wanted
                parts = _cut(data, at, lengths)
            else:
                with memoryview(buffer) as view:
                    parts = [bytes(part) for part in _cut(view, at, lengths)]
            start = stop
            yield Frame(kind, call, parts)
        if buffer is data:
            if start < end:
                self._buffer += data[start:]
        elif start:
            del self._buffer[:start]


def _cut(source: _Sliced, at: int, lengths: Iterable[int]) -> list[_Sliced]:
    parts = []
    for length in lengths:
        parts.append(source[at : at + length])
        at += length
    return parts


class FrameConnection(AnyThreadProtocol):
    """One end of a connection that carries frames. Any thread may send.

    A frame is written at once by the thread that sends it: a short function would take longer to wake the event loop
    than to run. Nothing ever waits for other frames to leave with: holding them back until the end of a loop turn was
    measured to save no processor time and to cost a fifth of the rate, because both sides then wait for each other.

    :param on_frame: called with the connection and each frame; may be replaced while the connection lives.
    :param on_lost: called once when the connection has ended, with the error if there was one.
    """

    def __init__(
        self,
        on_frame: Callable[[FrameConnection, Frame], None],
        on_lost: Callable[[FrameConnection, Exception | None], None],
    ) -> None:
        super().__init__()
        self.on_frame = on_frame
        self._on_lost = on_lost
        self._decoder = Decoder()

    def data_received(self, data: bytes) -> None:
        """Decode and hand over what arrived (called by asyncio)."""
        try:
            for frame in self._decoder.feed(data):
                self.on_frame(self, frame)
        except ProtocolError as error:
            self._fail(error)

    def hand_over(self) -> tuple[int, Decoder]:
        """Read no more on the event loop; gives the socket's descriptor and what cuts its bytes into frames.

        Whoever reads from now on tells the end of it with :meth:`read_elsewhere_ended`.
        """
        assert self._transport is not None
        self._transport.pause_reading()
        return self._descriptor, self._decoder

    def read_elsewhere_ended(self, error: ProtocolError | None) -> None:
        """End the connection: the other side has gone, or has sent what makes no sense. Any thread may call this."""

        def end() -> None:
            if error is not None:
                self._fail(error)
            elif self._transport is not None:
                self._transport.abort()

        self._loop.call_soon_threadsafe(end)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner that the other side has gone (called by asyncio)."""
        with self._lock:
            self._transport = None
        self._on_lost(self, exc)

    def send(self, kind: int, call: int, parts: Sequence[bytes]) -> None:
        """Send one frame; silently dropped if the other side has gone, as ``on_lost`` has told.

        :raises ProtocolError: if the frame is too large.
        """
        data = encode(kind, call, parts)
        if threading.get_ident() == self._home:
            self._write(data)
        else:
            self._write_elsewhere(data)

    def close(self) -> None:
        """Close after everything that was sent has left."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def _fail(self, error: ProtocolError) -> None:
        with self._lock:
            transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
            self._on_lost(self, error)
            self._on_lost = _ignore


def _ignore(_connection: FrameConnection, _error: Exception | None) -> None:
    """Stand in for ``on_lost`` once it has been called."""
