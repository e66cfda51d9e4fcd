"""Either end of one bidirectional gRPC call: messages over HTTP/2, by the rules of
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
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
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

_CLIENT_WINDOW = 64 * 1024 * 1024  # bytes that the other side may send ahead
_SERVER_WINDOW = 1024 * 1024  # as servers have it
_DEFAULT_WINDOW = 65_535  # of a new connection, by RFC 9113
_UNIMPLEMENTED = "12"
_PREFIX = struct.Struct(">?I")


class GrpcStream(AnyThreadProtocol):
    """A call of a method that takes and gives a stream. Any thread may send.

    :param config: what h2 must know of this end.
    :param window: how many bytes the other side may send ahead.
    :param on_message: is given each message, on the loop's thread.
    :param on_lost: is told, on the loop's thread, that the call has ended, and why: empty if that was as it should be.
    """

    def __init__(
        self,
        config: H2Configuration,
        window: int,
        on_message: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        super().__init__()
        self._window = window
        self._on_message = on_message
        self._on_lost = on_lost
        self._http = H2Connection(config)
        self._http.local_settings = Settings(
            client=config.client_side,
            initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
            | ({SettingCodes.ENABLE_PUSH: 0} if config.client_side else {}),
        )
        self._state = threading.Lock()  # held by whoever uses the HTTP/2 connection
        self._stream = 0
        self._received = bytearray()
        self._unacknowledged = 0
        self._outbox: deque[bytes] = deque()  # what threads want to send and nobody has taken up yet
        self._waiting: deque[bytes] = deque()
        self._begun = 0  # bytes of the first one waiting that have been sent
        self._unsent = 0
        self._closing = False
        self._closed = False  # on this side
        self._reason: str | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the conversation (called by asyncio)."""
        super().connection_made(transport)
        with self._state:
            self._http.initiate_connection()
            self._http.increment_flow_control_window(self._window - _DEFAULT_WINDOW)
            self._begin()
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
                if answer:  # written before another thread may send what is to come later
                    self._write(answer)
            self._send_outbox()
            for message in self._messages():
                self._on_message(message)
        except (Http2Error, ProtocolError) as error:
            self._end(str(error) or type(error).__name__)
        if self._reason is not None:
            self._end(self._reason)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the owner (called by asyncio)."""
        reason = f"the connection was lost: {exc!r}" if exc else "" if self._closing else "the connection was closed"
        self._end(reason)

    @property
    def is_full(self) -> bool:
        """Whether the other side has stopped reading: what can be left out should be."""
        return self._unsent > MOST_UNSENT

    def send(self, messages: Iterable[bytes]) -> None:
        """Send messages, in one piece if they are small; dropped if the call has ended, as ``on_lost`` has told."""
        framed = [part for message in messages for part in (_PREFIX.pack(False, len(message)), message)]
        self._outbox.append(b"".join(framed))
        self._send_outbox()

    def _send_outbox(self) -> None:
        """Send what is in the outbox, unless another thread is at it: that one looks once more when it has done."""
        while self._outbox and self._state.acquire(blocking=False):
            try:
                if self._transport is None or self._closing:
                    self._outbox.clear()
                    return
                self._accept_outbox()
                self._pump()
                data = self._http.data_to_send()
                if data and threading.get_ident() == self._home:
                    self._write(data)
                elif data:
                    self._write_elsewhere(data)
            finally:
                self._state.release()

    def _accept_outbox(self) -> None:
        """Have what is in the outbox wait for its turn; another thread may have seen to that already."""
        while self._outbox:
            framed = self._outbox.popleft()
            self._waiting.append(framed)
            self._unsent += len(framed)

    def close(self) -> None:
        """End the call when all that was sent has left. Call this on the loop's thread."""
        with self._state:
            self._accept_outbox()
            self._closing = True
            self._pump()
            self._write(self._http.data_to_send())

    def set_reading(self, reading: bool) -> None:
        """Stop reading from the connection, or go on. Call this on the loop's thread."""
        if self._transport is not None:
            self._transport.resume_reading() if reading else self._transport.pause_reading()

    def abort(self) -> None:
        """Drop the connection at once, as if this process had ended. Call this on the loop's thread."""
        if self._transport is not None:
            self._transport.abort()

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

    @abstractmethod
    def _begin(self) -> None:
        """Say what this end says first."""

    @abstractmethod
    def _end_stream(self) -> None:
        """Say that nothing more will be sent."""

    def _handle(self, event: Event) -> None:
        if isinstance(event, DataReceived):
            self._received += event.data
            self._unacknowledged += event.flow_controlled_length
        elif isinstance(event, StreamEnded):
            self._reason = self._reason or ""
        elif isinstance(event, StreamReset) and self._reason is None:  # a server may reset what it has ended
            self._reason = f"the call was reset (HTTP/2 error {event.error_code})"
        elif isinstance(event, ConnectionTerminated) and event.error_code:
            self._reason = f"the connection was ended (HTTP/2 error {event.error_code})"

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
        if not stream or self._closed:
            return
        while self._waiting:
            room = min(http.local_flow_control_window(stream), http.max_outbound_frame_size)
            if room <= 0:
                return
            chunk = self._take(room)
            self._unsent -= len(chunk)
            http.send_data(stream, chunk)
        if self._closing:
            self._closed = True
            self._end_stream()

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
        if self._unacknowledged >= self._window // 4 and not self.is_full:
            self._http.acknowledge_received_data(self._unacknowledged, self._stream)
            self._unacknowledged = 0

    def _end(self, reason: str) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.close()
            self._on_lost(reason)


class ClientStream(GrpcStream):
    """The end that calls.

    :param authority: the server's ``name:port``.
    :param path: ``/package.Service/Method``.
    """

    def __init__(
        self, authority: str, path: str, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
    ) -> None:
        config = H2Configuration(client_side=True, header_encoding="utf-8")
        super().__init__(config, _CLIENT_WINDOW, on_message, on_lost)
        self._headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", "grpc-python-worker-ext"),
        ]

    def _begin(self) -> None:
        self._stream = self._http.get_next_available_stream_id()
        self._http.send_headers(self._stream, self._headers)

    def _end_stream(self) -> None:
        self._http.end_stream(self._stream)

    def _handle(self, event: Event) -> None:
        if isinstance(event, ResponseReceived | TrailersReceived):
            self._read_headers(dict(event.headers))  # type: ignore[arg-type]
        else:
            super()._handle(event)

    def _read_headers(self, headers: dict[str, str]) -> None:
        if headers.get(":status", "200") != "200":
            self._reason = f"the server answered with the HTTP status {headers[':status']}"
        elif headers.get("grpc-status", "0") != "0":
            message = unquote(headers.get("grpc-message", ""))
            self._reason = f"the server ended the call with the status {headers['grpc-status']}: {message}"


class ServerStream(GrpcStream):
    """The end that is called. Other methods than the one are refused.

    :param path: ``/package.Service/Method``.
    :param on_call: is told, on the loop's thread, that the call has come; it cannot send yet.
    """

    def __init__(
        self,
        path: str,
        on_call: Callable[[ServerStream], None],
        on_message: Callable[[bytes], None],
        on_lost: Callable[[str], None],
    ) -> None:
        config = H2Configuration(client_side=False, header_encoding="utf-8")
        super().__init__(config, _SERVER_WINDOW, on_message, on_lost)
        self._path = path
        self._on_call = on_call

    def _begin(self) -> None:
        """Nothing: it is for the client to say what it wants."""

    def _end_stream(self) -> None:
        self._http.send_headers(self._stream, [("grpc-status", "0")], end_stream=True)

    def _handle(self, event: Event) -> None:
        if not isinstance(event, RequestReceived):
            super()._handle(event)
        elif self._stream or dict(event.headers).get(":path") != self._path:  # type: ignore[call-overload]
            refusal = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", _UNIMPLEMENTED)]
            self._http.send_headers(event.stream_id, refusal, end_stream=True)
        else:
            self._stream = event.stream_id
            self._http.send_headers(self._stream, [(":status", "200"), ("content-type", "application/grpc")])
            self._on_call(self)


async def open_stream(
    authority: str, path: str, on_message: Callable[[bytes], None], on_lost: Callable[[str], None]
) -> ClientStream:
    """Connect to a server and call a method; see :class:`ClientStream`.

    :raises OSError: if the server cannot be reached.
    """
    host, _, port = authority.rpartition(":")
    _, stream = await asyncio.get_running_loop().create_connection(
        lambda: ClientStream(authority, path, on_message, on_lost), host.strip("[]"), int(port)
    )
    return stream
