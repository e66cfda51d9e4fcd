"""An HTTP/1.1 server on httptools (llhttp) and ``asyncio.Protocol``. It knows bytes only, nothing about functions.

A handler is called with each complete request, in the thread of the event loop, and answers it then or later::

    def handle(exchange: Exchange) -> None:
        exchange.respond(200, [(b"content-type", b"text/plain")], b"hello")

    server = HttpServer(handle)
    addresses = await server.start("127.0.0.1", 0)
    ...
    await server.drain(30)

A body that is made piece by piece is streamed: see :mod:`worker_ext.transports.http1_stream`; so is one that is read
piece by piece: :mod:`worker_ext.transports.http1_incoming`.

It works on any event loop. The requests of one connection are handed on one after the other, also when they are
pipelined; a request to upgrade to another protocol is answered like any other.
"""

from __future__ import annotations

import asyncio
import ssl as tls
from collections.abc import Callable, Sequence
from time import monotonic

from .http1_connection import Connection, ErrorBody, Service
from .http1_exchange import Exchange
from .http1_incoming import RequestStream
from .http1_reader import Limits
from .http1_request import Header
from .http1_stream import ResponseStream

__all__ = ["ErrorBody", "Exchange", "Header", "HttpServer", "Limits", "RequestStream", "ResponseStream"]

_BACKLOG = 1024
"""Connections that the system keeps until they are accepted; asyncio's 100 turns away bursts."""


def plain_error(status: int, message: str) -> tuple[list[Header], bytes]:
    """Header fields and a body that tell an error as plain text."""
    return [(b"content-type", b"text/plain; charset=utf-8")], message.encode()


class HttpServer:
    """Listens, and keeps the connections within their limits.

    :param handle: called with each request. What it raises is logged, and answered with 500.
    :param limits: what a client may make the server hold or wait for.
    :param error_body: makes the body of an answer that the server gives itself.
    :param streams: tells of a request with a body to come whether that is streamed; the others are handed on when all
        of it has come.
    """

    def __init__(
        self,
        handle: Callable[[Exchange], None],
        *,
        limits: Limits | None = None,
        error_body: ErrorBody = plain_error,
        streams: Callable[[Exchange], bool] | None = None,
    ) -> None:
        self._limits = limits or Limits()
        self._emptied = asyncio.Event()
        self._service = Service(handle, self._limits, error_body, self._emptied.set, streams=streams)
        self._listeners: list[asyncio.Server] = []
        self._timer: asyncio.TimerHandle | None = None
        shortest = min(
            self._limits.head_timeout,
            self._limits.body_timeout,
            self._limits.write_timeout,
            self._limits.keep_alive,
            self._limits.linger,
        )
        self._interval = min(1.0, shortest / 4)

    async def start(
        self, host: str | Sequence[str], port: int, *, ssl: tls.SSLContext | None = None
    ) -> list[tuple[str, int]]:
        """Begin to listen; may be called again for further addresses.

        :param host: a name or an address, or several. A name can stand for several addresses, each of which gets a port
            of its own if ``port`` is 0.
        :param port: the port, or 0 for a free one.
        :param ssl: makes this an https server.
        :returns: host and port of each address listened on.
        :raises OSError: if the address cannot be used; ``errno`` is ``EADDRINUSE`` if somebody else uses it.
        """
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(
            lambda: Connection(self._service),
            host,
            port,
            ssl=ssl,
            ssl_handshake_timeout=self._limits.head_timeout if ssl is not None else None,
            backlog=_BACKLOG,
        )
        self._listeners.append(listener)
        if self._timer is None:
            self._timer = loop.call_later(self._interval, self._sweep)
        return [socket.getsockname()[:2] for socket in listener.sockets]

    @property
    def connections(self) -> int:
        """Number of open connections."""
        return len(self._service.connections)

    @property
    def in_flight(self) -> int:
        """Number of requests that have been handed on and not been answered."""
        return sum(connection.current is not None for connection in self._service.connections)

    def stop_accepting(self) -> None:
        """Stop listening; open connections go on."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def drain(self, grace: float) -> int:
        """Stop gracefully: idle connections close at once, the others after the answer that is due.

        :param grace: seconds until the connections that are left are cut off.
        :returns: how many had to be.
        """
        self.stop_accepting()
        self._service.draining = True
        for connection in list(self._service.connections):
            connection.drain()
        await self._until_empty(grace)
        cut_off = self.connections
        self.close()
        await self._until_empty(1.0)  # the loop tells a connection of its end in a later turn
        return cut_off

    def close(self) -> None:
        """Stop at once: requests in progress get no answer, and their ``on_disconnect`` is called soon."""
        self.stop_accepting()
        self._service.draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for connection in list(self._service.connections):
            connection.abort()

    async def _until_empty(self, grace: float) -> None:
        if not self._service.connections:
            return
        self._emptied.clear()
        try:
            async with asyncio.timeout(grace):
                await self._emptied.wait()
        except TimeoutError:
            pass

    def _sweep(self) -> None:
        """Look at all connections: one timer for all, where each request would start and cancel its own."""
        self._timer = asyncio.get_running_loop().call_later(self._interval, self._sweep)
        self._service.heads.tick()
        now = monotonic()
        for connection in list(self._service.connections):
            connection.check_time(now)
