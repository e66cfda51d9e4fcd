"""The client's end of one bidirectional gRPC call: messages over HTTP/2, by the rules of
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.

HTTP/2 itself is h2's business. A call that lasts as long as the process needs no more of gRPC than this, and no
threads of its own: a message costs half of what it costs through grpcio, several leave in one write, and what an app
pins of grpcio does not matter.
"""

from __future__ import annotations

import asyncio
import os
import select
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError as Http2Error
from h2.settings import SettingCodes, Settings

from ..errors import ProtocolError
from .any_thread import AnyThreadProtocol

MOST_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait for an other side that does not read. Beyond them it is allowed to send nothing more."""

_WINDOW = 64 * 1024 * 1024  # bytes that the other side may send ahead
_DEFAULT_WINDOW = 65_535  # of a new connection, by RFC 9113
_ACKNOWLEDGED_AT = 1024 * 1024
_PREFIX = struct.Struct(">?I")


class GrpcStream(AnyThreadProtocol):
    """A call of a method that takes and gives a stream. Any thread may send.

    :param authority: the server's ``name:port``.
    :param path: ``/package.Service/Method``.
    :param on_message: is given each message, on the loop's thread.
    :param on_lost: is told, on the loop's thread, that the call has ended, and why: empty if the server ended it well.
    """

    def __init__(
        self, authority: str, path: str, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        super().__init__()
        self._headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-python-worker-ext"),
        ]
        self._on_message = on_message
        self._on_lost = on_lost
        self._http = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._http.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.INITIAL_WINDOW_SIZE: _WINDOW, SettingCodes.ENABLE_PUSH: 0},
        )
        self._state = threading.Lock()  # held by whoever uses the HTTP/2 connection
        self._stream = 0
        self._received = bytearray()
        self._unacknowledged = 0
        self._waiting: deque[bytes] = deque()
        self._begun = 0  # bytes of the first one waiting that have been sent
        self._unsent = 0
        self._closing = False
        self._closed = False  # on this side
        self._reason: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the call (called by asyncio)."""
        super().connection_made(transport)
        with self._state:
            self._http.initiate_connection()
            self._http.increment_flow_control_window(_WINDOW - _DEFAULT_WINDOW)
            self._stream = self._http.get_next_available_stream_id()
            self._http.send_headers(self._stream, self._headers)
            self._write(self._http.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Take in what has arrived (called by asyncio)."""
        try:
            with self._state:
                for event in self._http.receive_data(data):
                    self._handle(event)
                self._pump()
                self._acknowledge()
                answer = self._http.data_to_send()
            if answer:
                self._write(answer)
            for message in self._messages():
                self._on_message(message)
        except (Http2Error, ProtocolError) as error:
            self._end(str(error) or type(error).__name__)
        if self._reason is not None:
            self._end(self._reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner (called by asyncio)."""
        self._end(f"the connection was lost: {exc}" if exc else "" if self._closing else "the connection was closed")

    @property
    def is_full(self) -> bool:
        """Whether the other side has stopped reading: what can be left out should be."""
        return self._unsent > MOST_UNSENT

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages, in one piece if they are small; dropped if the call has ended, as ``on_lost`` has told."""
        with self._state:
            if self._transport is None or self._closing:
                return
            for message in messages:
                framed = _PREFIX.pack(False, len(message)) + message
                self._waiting.append(framed)
                self._unsent += len(framed)
            self._pump()
            data = self._http.data_to_send()
            if not data:
                return
            if threading.get_ident() == self._home:
                self._write(data)
            else:
                self._write_elsewhere(data)

    def close(self) -> None:
        """End the call when all that was sent has left. Call this on the loop's thread."""
        with self._state:
            self._closing = True
            self._pump()
            self._write(self._http.data_to_send())

    def watch(self, on_gone: Callable[[], None]) -> None:
        """Have a thread of its own notice that the server is gone: the event loop may be blocked by user code.

        :param on_gone: what that thread then does.
        """
        if self._descriptor < 0 or not hasattr(select, "poll"):
            return
        descriptor = os.dup(self._descriptor)  # the loop may close its own, and another file get the number
        poll = select.poll()
        poll.register(descriptor, select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0))

        def watch() -> None:
            poll.poll()
            if not self._closing:
                on_gone()

        threading.Thread(target=watch, name="host-watcher", daemon=True).start()

    def _handle(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._received += event.data
            self._unacknowledged += event.flow_controlled_length
        elif isinstance(event, ResponseReceived | TrailersReceived):
            self._read_headers(dict(event.headers))  # type: ignore[arg-type]
        elif isinstance(event, StreamEnded):
            self._reason = self._reason or ""
        elif isinstance(event, StreamReset) and self._reason is None:  # a server may reset what it has ended
            self._reason = f"the call was reset (HTTP/2 error {event.error_code})"
        elif isinstance(event, ConnectionTerminated) and event.error_code:
            self._reason = f"the connection was ended (HTTP/2 error {event.error_code})"

    def _read_headers(self, headers: dict[str, str]) -> None:
        if headers.get(":status", "200") != "200":
            self._reason = f"the server answered with the HTTP status {headers[':status']}"
        elif headers.get("grpc-status", "0") != "0":
            message = unquote(headers.get("grpc-message", ""))
            self._reason = f"the server ended the call with the status {headers['grpc-status']}: {message}"

    def _messages(self) -> Iterator[bytes]:
        """Cut off the messages that have arrived as a whole."""
        received, start = self._received, 0
        try:
            while len(received) - start >= _PREFIX.size:
                compressed, size = _PREFIX.unpack_from(received, start)
                if compressed:
                    raise ProtocolError("the server sent a compressed message, which it was not told it may")
                begin = start + _PREFIX.size
                if len(received) - begin < size:
                    break
                start = begin + size
                with memoryview(received) as view:
                    message = bytes(view[begin:start])
                yield message
        finally:
            if start:
                del received[:start]

    def _pump(self) -> None:
        """Hand over to HTTP/2 as much as the other side takes now."""
        http, stream = self._http, self._stream
        while self._waiting:
            room = min(http.local_flow_control_window(stream), http.max_outbound_frame_size)
            if room <= 0:
                return
            chunk = self._take(room)
            self._unsent -= len(chunk)
            http.send_data(stream, chunk)
        if self._closing and not self._closed:
            self._closed = True
            http.end_stream(stream)

    def _take(self, room: int) -> bytes:
        """What is sent next, at most ``room`` bytes."""
        waiting = self._waiting
        if not self._begun and len(waiting) == 1 and len(waiting[0]) <= room:
            return waiting.popleft()
        pieces = []
        while room and waiting:
            piece = waiting[0][self._begun : self._begun + room]
            pieces.append(piece)
            room -= len(piece)
            self._begun += len(piece)
            if self._begun == len(waiting[0]):
                waiting.popleft()
                self._begun = 0
        return b"".join(pieces)

    def _acknowledge(self) -> None:
        """Allow the other side to send more, unless it does not take what we have for it."""
        if self._unacknowledged >= _ACKNOWLEDGED_AT and not self.is_full:
            self._http.acknowledge_received_data(self._unacknowledged, self._stream)
            self._unacknowledged = 0

    def _end(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
            self._on_lost(reason)


async def open_stream(
    authority: str, path: str, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
) -> GrpcStream:
    """Connect to a server and call a method; see :class:`GrpcStream`.

    :raises OSError: if the server cannot be reached.
    """
    host, _, port = authority.rpartition(":")
    _, stream = await asyncio.get_running_loop().create_connection(
        lambda: GrpcStream(authority, path, on_message, on_lost), host.strip("[]"), int(port)
    )
    return stream
