"""What a handler gets: one request, and the way to answer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .http1_incoming import RequestStream
from .http1_request import Header
from .http1_stream import ResponseStream


class Responder(Protocol):
    """The side of a connection that an exchange answers through."""

    current: Exchange | None
    stream: ResponseStream | None
    client: tuple[Any, ...] | None

    def regulate_reading(self) -> None:
        """Let the client go on sending, or wait, as what it has sent is taken."""

    def answer(self, exchange: Exchange, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Write the answer to the current exchange."""

    def begin(self, exchange: Exchange, status: int, headers: Sequence[Header]) -> ResponseStream:
        """Write the head of the answer to the current exchange."""


class Exchange:
    """One request, and the way to answer it. To be used in the thread of the event loop only."""

    __slots__ = (
        "_connection",
        "body",
        "headers",
        "http_version",
        "incoming",
        "keep_alive",
        "method",
        "on_disconnect",
        "path",
        "query",
        "target",
    )

    method: str
    """The method as sent, in upper case."""
    target: bytes
    """Path and query as sent, or ``*``; scheme and authority of an absolute URL are taken off."""
    path: str
    """The target's path, still percent-encoded: it must be split into segments before it is decoded."""
    query: str
    """What follows the first ``?`` of the target, still percent-encoded."""
    headers: list[Header]
    """All header fields in the order sent, repeated ones too; names in lower case, values without outer blanks."""
    body: bytes
    """The whole body; empty where that is streamed."""
    incoming: RequestStream | None
    """The body as it comes, where the server was told to stream it."""
    http_version: str
    """``1.1`` or ``1.0``."""
    keep_alive: bool
    """Whether the client wants the connection to stay open after the answer."""
    on_disconnect: Callable[[], None] | None
    """Called, at most once, if the client leaves before the answer, or the end of a streamed one; to be set before
    ``handle`` returns. A client that closes only its sending side has left too, as for most servers: a close looks no
    different."""

    def __init__(
        self,
        connection: Responder,
        method: str,
        target: bytes,
        headers: list[Header],
        http_version: str,
        keep_alive: bool,
    ) -> None:
        self._connection = connection
        self.method = method
        self.target = target
        self.path, _, self.query = target.decode("ascii").partition("?")
        self.headers = headers
        self.body = b""
        self.incoming = None
        self.http_version = http_version
        self.keep_alive = keep_alive
        self.on_disconnect = None

    @property
    def client(self) -> tuple[Any, ...] | None:
        """The client's address as the socket tells it: host and port first for TCP."""
        return self._connection.client

    def respond(self, status: int, headers: Sequence[Header], body: bytes) -> bool:
        """Answer the request.

        The server adds Date, unless given, and Content-Length, and decides on Connection (``close`` is heeded) and
        Transfer-Encoding: what is given for these is dropped. HEAD, 1xx, 204, 205 and 304 send no body; for HEAD,
        Content-Length is that of ``body``, or the given one if ``body`` is empty. After a 1xx, which promises a further
        answer that cannot come, the connection closes.

        :param status: 100 to 999.
        :param headers: fields in the order to send; encoded by the caller.
        :param body: the whole body.
        :returns: whether the answer was taken; ``False`` if there was one already or the client has left.
        :raises ValueError: if the status or a field cannot be sent (among others, a line break in a value: header
            injection); nothing has been written then, and another answer may be given.
        :raises TypeError: likewise, if the body is not bytes.
        """
        connection = self._connection
        if connection.current is not self or connection.stream is not None:
            return False
        connection.answer(self, status, headers, body)
        return True

    def begin(self, status: int, headers: Sequence[Header]) -> ResponseStream | None:
        """Answer the request with a body that is sent piece by piece (:mod:`worker_ext.transports.http1_stream`).

        The server adds what :meth:`respond` adds, but for a Content-Length that is not given. HEAD, 204, 205 and 304
        send no body: what is written is dropped.

        :param status: 200 to 999.
        :param headers: fields in the order to send; encoded by the caller.
        :returns: what the body is written to; ``None`` if there is an answer already or the client has left.
        :raises ValueError: if the status or a field cannot be sent; nothing has been written then.
        """
        connection = self._connection
        if connection.current is not self or connection.stream is not None:
            return None
        return connection.begin(self, status, headers)
