"""One client's HTTP/1.1 connection, in callback style: no task and no future for a request.

A complete request waits in line until those before it are answered, and is then handed on as an
:class:`~worker_ext.transports.http1_exchange.Exchange`. Its answer leaves in one write.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

from .http1_exchange import Exchange
from .http1_reader import Limits, RequestReader
from .http1_request import Header, Refusal
from .http1_response import CONTINUE, ResponseHeads
from .http1_stream import ResponseStream

_logger = logging.getLogger(__name__)

_ONE_WRITE = 65_536
"""Up to this many bytes, copying a body behind its head costs less than a second system call."""

ErrorBody = Callable[[int, str], tuple[list[Header], bytes]]
"""Makes header fields and a body for an error that the server answers itself, from its status and message."""


@dataclass(slots=True)
class Service:
    """What all connections of one server share."""

    handle: Callable[[Exchange], None]
    limits: Limits
    error_body: ErrorBody
    emptied: Callable[[], None]
    """Called whenever the last connection has gone."""
    connections: set[Connection] = field(default_factory=set)
    streams: Callable[[Exchange], bool] | None = None
    """Tells of a request with a body to come whether that is streamed (:mod:`.http1_incoming`)."""
    heads: ResponseHeads = field(default_factory=ResponseHeads)
    draining: bool = False
    """Whether each connection is to close after the answer that is due on it."""


class Connection(asyncio.Protocol):
    """The protocol of one connection.

    :param service: what it shares with the others of its server.
    """

    __slots__ = (
        "_advancing",
        "_closing",
        "_paused",
        "_reader",
        "_refusal",
        "_service",
        "_since",
        "_transport",
        "_unsent",
        "_waiting",
        "_writable",
        "client",
        "current",
        "stream",
    )

    def __init__(self, service: Service) -> None:
        self.client: tuple[Any, ...] | None = None
        """The client's address as the socket tells it."""
        self.current: Exchange | None = None
        """What has been handed on and is not answered."""
        self.stream: ResponseStream | None = None
        """The answer to it, if that is on its way."""
        self._service = service
        self._transport: asyncio.Transport
        self._reader = RequestReader(self, service.limits, service.streams)
        self._waiting = self._reader.complete
        self._refusal: Refusal | None = None  # the last answer of this connection, due when none is due before it
        self._advancing = False
        self._closing = False
        self._paused = False
        self._writable = True
        self._unsent = 0  # bytes that waited for the client at the last check
        self._since = monotonic()  # the last event that a time limit counts from

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or turn it away if there are too many."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not derive from it
        service = self._service
        if service.draining or len(service.connections) >= service.limits.connections:
            self._reader.stop()
            self._closing = True
            if not service.draining:
                self._write_refusal(Refusal(503, "The server has too many connections; try again later."))
            self._transport.close()
            return
        self.client = transport.get_extra_info("peername") or None
        service.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell whoever works on its request."""
        self._reader.stop()
        self._waiting.clear()
        self._closing = True
        exchange, self.current = self.current, None
        stream, self.stream = self.stream, None
        if stream is not None:
            stream.lost()
        service = self._service
        if self in service.connections:
            service.connections.remove(self)
            if not service.connections:
                service.emptied()
        if exchange is not None and exchange.on_disconnect is not None:
            try:
                exchange.on_disconnect()
            except Exception:
                _logger.exception("The disconnect callback of %s %s failed", exchange.method, exchange.path)

    def data_received(self, data: bytes) -> None:
        """Parse what has come, and hand on the first complete request if none is in progress."""
        reader = self._reader
        try:
            reader.feed(data)
        except Refusal as refusal:
            self._refusal = refusal
            self._advance()
        else:
            if self._waiting or reader.continue_due:
                self._advance()
            elif reader.is_ahead:
                self.regulate_reading()

    def eof_received(self) -> None:
        """Let the transport close: see :attr:`Exchange.on_disconnect` for why half a connection is none."""

    def pause_writing(self) -> None:
        """Let the requests of a client wait that does not read its answers."""
        self._writable = False
        self._unsent = self._transport.get_write_buffer_size()
        self._since = monotonic()
        if self.stream is not None:
            self.stream.paused()

    def resume_writing(self) -> None:
        """Go on where :meth:`pause_writing` has stopped."""
        self._writable = True
        self._since = monotonic()
        if self.stream is not None:
            self.stream.resumed()
        self._advance()

    def answer(self, exchange: Exchange, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Write the answer to the current exchange; see :meth:`Exchange.respond`."""
        service = self._service
        head, body, keep_alive = service.heads.encode(
            status,
            headers,
            body,
            head_only=exchange.method == "HEAD",
            keep_alive=self._stays_open(exchange),
            http_1_0=exchange.http_version == "1.0",
        )
        if len(body) <= _ONE_WRITE:
            self._transport.write(head + body)
        else:
            # Not `writelines`: in CPython up to 3.12.8 and 3.13.1 it knows no back-pressure (CVE-2024-12254).
            self._transport.write(head)
            self._transport.write(body)
        self._answered(keep_alive)

    def begin(self, exchange: Exchange, status: int, headers: Sequence[Header]) -> ResponseStream:
        """Write the head of an answer; see :meth:`Exchange.begin`."""
        service = self._service
        head, body, keep_alive = service.heads.encode_stream(
            status,
            headers,
            head_only=exchange.method == "HEAD",
            keep_alive=self._stays_open(exchange),
            http_1_0=exchange.http_version == "1.0",
        )
        self.stream = stream = ResponseStream(self, body, keep_alive)
        self._transport.write(head)
        return stream

    def write_piece(self, data: bytes) -> None:
        """Send some of the body of a streamed answer."""
        self._transport.write(data)

    def stream_ended(self, *, keep_alive: bool) -> None:
        """Go on after a streamed answer."""
        self.stream = None
        self._answered(keep_alive and not self._service.draining)

    def stream_cut(self) -> None:
        """Close at once, as a streamed answer cannot be completed."""
        self.current = self.stream = None
        self._transport.abort()

    def _stays_open(self, exchange: Exchange) -> bool:
        """Whether another request can follow; not behind a body that is still coming."""
        is_read = exchange.incoming is None or exchange.incoming.complete
        return exchange.keep_alive and is_read and not self._service.draining

    def _answered(self, keep_alive: bool) -> None:
        """Go on after an answer."""
        self.current = None
        self._since = monotonic()
        if not keep_alive:
            # Nothing is known to come. To be sure costs nothing where half of the connection can be closed, except when
            # the server stops: it should not wait for its clients.
            self._close(linger=self._transport.can_write_eof() and not self._service.draining)
        elif self._waiting or self._reader.partial or self._refusal is not None:
            self._reader.restart_clock()
            self._advance()

    def drain(self) -> None:
        """Close if nothing is going on; otherwise the next answer closes."""
        if self.current is None and not self._waiting and not self._reader.partial and self._refusal is None:
            self._close()

    def abort(self) -> None:
        """Close at once, whatever is going on."""
        self._transport.abort()

    def check_time(self, now: float) -> None:
        """Enforce the time limits.

        :param now: the present ``time.monotonic()``.
        """
        limits = self._service.limits
        waited = now - self._since
        if self._closing or not self._writable:
            unsent = self._transport.get_write_buffer_size()
            if unsent != self._unsent:
                self._unsent = unsent
                self._since = now
            elif waited > (limits.write_timeout if unsent else limits.linger):
                self._transport.abort()
        elif self.current is not None:
            # How long an answer may take is for those who make it to say; not how long the client takes for the body.
            if self.current.incoming is not None and self._reader.partial and not self._paused:
                with contextlib.suppress(Refusal):
                    self._reader.check_time(now)
        elif self._reader.partial:
            try:
                self._reader.check_time(now)
            except Refusal as refusal:
                self._refusal = refusal
                self._advance()
        elif waited > limits.keep_alive:
            self._close()

    def _advance(self) -> None:
        """Do what is due next, as long as the client reads: hand on requests, refuse one, ask for a body."""
        if self._advancing:
            return
        self._advancing = True  # an answer given in `handle` comes back here: the loop goes on, instead of nesting
        try:
            while self.current is None and self._writable and not self._closing:
                if self._waiting:
                    self._hand_on(self._waiting.popleft())
                elif self._refusal is not None:
                    self._write_refusal(self._refusal)
                    self._close(linger=True)
                else:
                    if self._reader.continue_due:
                        self._reader.continue_due = False
                        self._transport.write(CONTINUE)
                    break
        finally:
            self._advancing = False
        self.regulate_reading()

    def _hand_on(self, exchange: Exchange) -> None:
        self.current = exchange
        if exchange.incoming is not None and self._reader.continue_due:
            self._reader.continue_due = False
            self._transport.write(CONTINUE)
        try:
            self._service.handle(exchange)
        except Exception:
            _logger.exception("Handling %s %s failed", exchange.method, exchange.path)
            if self.stream is not None:
                self.stream.abort()
            else:
                exchange.respond(500, *self._service.error_body(500, "The server failed to handle the request."))

    def regulate_reading(self) -> None:
        """Read on only while not too many requests wait, nor too much of a body that is streamed."""
        pause = len(self._waiting) >= self._service.limits.pipelined or self._reader.is_ahead
        if pause is not self._paused and not self._closing:
            self._paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _write_refusal(self, refusal: Refusal) -> None:
        headers, body = self._service.error_body(refusal.status, refusal.message)
        head, body, _ = self._service.heads.encode(refusal.status, headers, body, keep_alive=False)
        self._transport.write(head + body)

    def _close(self, *, linger: bool = False) -> None:
        """Close when all is written; ``linger`` if the client may be sending still.

        To close a socket with bytes that are unread, or that come later, resets the connection; and that can destroy
        the answer before the client has read it (RFC 9112 section 9.6). So only the sending side is closed, and it is
        read on until the client closes too, within a limit.
        """
        if self._closing:
            return
        linger = linger or self._paused or bool(self._waiting) or bool(self._reader.partial)
        self._closing = True
        self._reader.stop()
        self._waiting.clear()
        self._since = monotonic()
        self._unsent = self._transport.get_write_buffer_size()
        if not linger:
            self._transport.close()
            return
        if self._paused:
            self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
