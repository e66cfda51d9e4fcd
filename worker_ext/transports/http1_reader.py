"""From bytes to requests: llhttp (through httptools) parses, limits bound what a client can make it hold."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from .http1_exchange import Exchange, Responder
from .http1_incoming import RequestStream
from .http1_request import Header, Refusal, read_head

# What has been read of a request that is not complete.
_NOTHING: Final = 0
_HEAD: Final = 1  # its first bytes
_BODY: Final = 2  # its head, and maybe some of its body

_FRAMING = (b"content-length", b"transfer-encoding")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may make the server hold or wait for. Sizes are in bytes, times in seconds."""

    body: int = 104_857_600
    """Size of a request body."""
    head: int = 65_536
    """Size of the request line with all header fields. The same number bounds what is not data in a chunked body: the
    extensions of a chunk, and the trailer section."""
    headers: int = 256
    """Number of header fields."""
    head_timeout: float = 30.0
    """Time from the first byte of a request head to its last, and for a TLS handshake."""
    body_timeout: float = 60.0
    """Time without any byte of a body that has not come in full."""
    write_timeout: float = 60.0
    """Time in which a client reads nothing of an answer that waits for it."""
    keep_alive: float = 120.0
    """Time without any request on an open connection."""
    linger: float = 5.0
    """Time that a closing connection waits for the client to close too."""
    connections: int = 10_000
    """Number of connections at a time."""
    pipelined: int = 8
    """Number of requests waiting behind the one in progress at which reading pauses. Those that come in the same read
    are taken, so there can be more."""


class RequestReader:
    """Reads the requests of one connection; the methods named ``on_…`` are called by the parser.

    :param connection: what the exchanges are answered through.
    :param limits: what a client may make this hold.
    :param streams: tells of a request with a body to come whether that is streamed.
    """

    __slots__ = (
        "_body",
        "_connection",
        "_exchange",
        "_fed",
        "_headers",
        "_incoming",
        "_limits",
        "_parser",
        "_since",
        "_stalled",
        "_streamed",
        "_streams",
        "_target",
        "_upgrading",
        "complete",
        "continue_due",
        "partial",
    )

    def __init__(
        self, connection: Responder, limits: Limits, streams: Callable[[Exchange], bool] | None = None
    ) -> None:
        self.complete: deque[Exchange] = deque()
        """The requests read, for the connection to take."""
        self.partial: int = _NOTHING
        """Not 0 if the first part of a request has been read, and the rest has not."""
        self.continue_due = False
        """Whether the client waits for ``100 Continue``."""
        self._connection = connection
        self._limits = limits
        self._streams = streams
        self._incoming: RequestStream | None = None  # the body that is being read, if it is streamed
        self._streamed = 0  # bytes of it
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._target = b""
        self._headers: list[Header] = []
        self._body: bytes | bytearray = b""
        self._exchange: Exchange | None = None  # whose body is being read
        self._upgrading: Exchange | None = None  # the same, while the parser is led past its Upgrade header
        self._fed = 0  # bytes in the present call of `feed`
        self._stalled = 0  # bytes since a head, a piece of a body or a request was completed; -1: in the present call
        self._since = 0.0  # when that was; for a head, when it began

    def feed(self, data: bytes) -> None:
        """Parse what has come; after :meth:`stop` it is thrown away.

        :raises Refusal: if it is not a request that may be handled, or follows one that closes the connection; those
            before it are complete.
        """
        parser = self._parser
        if parser is None:
            return
        self._fed = len(data)
        rest: bytes | memoryview = data
        while True:
            try:
                parser.feed_data(rest)
                break
            except HttpParserUpgrade as upgrade:
                rest = memoryview(rest)[upgrade.args[0] :]
                if self._upgrading is not None:
                    self._lead_past_upgrade(self._upgrading)
            except HttpParserError as error:
                self.stop()
                if isinstance(error.__context__, Refusal):  # raised in a callback
                    raise error.__context__ from None
                raise Refusal(400, f"This is not an HTTP request: {error}.") from None
        if self.partial:
            self._check_partial()
        else:
            self._stalled = 0

    def stop(self) -> None:
        """Throw away what is partial, and what still comes."""
        self._parser = None  # also breaks the cycle between the two
        self.partial = _NOTHING
        self.continue_due = False
        self._exchange = self._upgrading = None
        self._body = b""
        if self._incoming is not None:
            self._incoming.fail("the rest of the request's body has not come")
            self._incoming = None

    @property
    def is_ahead(self) -> bool:
        """Whether a streamed body comes faster than it is taken."""
        return self._incoming is not None and self._incoming.is_ahead

    def restart_clock(self) -> None:
        """Begin the time for a partial request anew: until now, the client has been kept waiting."""
        self._since = monotonic()

    def check_time(self, now: float) -> None:
        """Enforce the time limits of a partial request.

        :param now: the present ``time.monotonic()``.
        :raises Refusal: if it has taken too long.
        """
        waited = now - self._since
        if self.partial == _HEAD:
            if waited > self._limits.head_timeout:
                self.stop()
                raise Refusal(408, f"The head of the request took longer than {self._limits.head_timeout:g} seconds.")
        elif waited > self._limits.body_timeout:
            self.stop()
            raise Refusal(408, f"No byte of the request body came for {self._limits.body_timeout:g} seconds.")

    def on_message_begin(self) -> None:
        """The first byte of a request."""
        if self._upgrading is None:
            self.partial = _HEAD
            self._target = b""
            self._headers = []

    def on_url(self, part: bytes) -> None:
        """A piece of the target."""
        self._target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header field; or one of the trailer section, for a list that nobody reads."""
        self._headers.append((name.lower(), value.rstrip()))

    def on_headers_complete(self) -> None:
        """The end of a head."""
        if self._upgrading is not None:
            self._exchange, self._upgrading = self._upgrading, None
            return
        parser = self._parser
        assert parser is not None
        limits = self._limits
        method, target, headers = parser.get_method(), self._target, self._headers
        if self._stalled > 0 or self._fed > limits.head:  # else it is part of a read that is not larger
            # `GET / HTTP/1.1`: two blanks and the version; then a line break, and another after the fields.
            size = 14 + len(method) + len(target) + sum(len(name) + len(value) + 4 for name, value in headers)
            if size > limits.head:
                raise self._head_too_large()
        if len(headers) > limits.headers:
            raise Refusal(431, f"The request has more than {limits.headers} header fields.")
        version = parser.get_http_version()
        target, length, expects_continue = read_head(method, target, version, headers)
        if length and length > limits.body:
            raise self._body_too_large()
        exchange = Exchange(
            self._connection, method.decode("ascii"), target, headers, version, parser.should_keep_alive()
        )
        self.partial = _BODY
        self.continue_due = expects_continue
        self._stalled = -1
        self._headers = []
        self._body = b""
        if length != 0 and parser.should_upgrade():
            self._upgrading = exchange
        else:
            self._exchange = exchange
            if length != 0 and self._streams is not None and self._streams(exchange):
                exchange.incoming = self._incoming = RequestStream(self._connection.regulate_reading)
                self._streamed = 0
                self.complete.append(exchange)

    def on_body(self, part: bytes) -> None:
        """A piece of a body."""
        if self._incoming is not None:
            self._stream(self._incoming, part)
            return
        body = self._body
        if len(body) + len(part) > self._limits.body:
            raise self._body_too_large()
        self._stalled = -1
        if not body:
            self._body = part
        elif isinstance(body, bytearray):
            body += part
        else:
            # Not a list of pieces: each of a million tiny chunks would cost fifty bytes more than it holds.
            self._body = bytearray(body) + part

    def on_message_complete(self) -> None:
        """The end of a request; or what llhttp takes for it after an Upgrade header."""
        exchange = self._exchange
        if exchange is None:
            return
        self._exchange = None
        self.partial = _NOTHING
        self.continue_due = False
        self._stalled = -1
        if self._incoming is not None:
            self._incoming.end()
            self._incoming = None
            return
        exchange.body = bytes(self._body)
        self._body = b""
        self.complete.append(exchange)

    def _stream(self, incoming: RequestStream, part: bytes) -> None:
        self._streamed += len(part)
        if self._streamed > self._limits.body:
            raise self._body_too_large()
        self._stalled = -1
        incoming.feed(part)

    def _lead_past_upgrade(self, exchange: Exchange) -> None:
        """Let the parser read the body of a request that asks for another protocol.

        Such a request is answered as any other: some clients offer ``h2c`` with each POST. But llhttp takes what
        follows its head for that protocol; so it is told of the body by a head that offers nothing.
        """
        assert self._parser is not None
        [(name, value)] = [field for field in exchange.headers if field[0] in _FRAMING]
        self._parser.feed_data(b"POST / HTTP/1.1\r\n%b: %b\r\n\r\n" % (name, value))

    def _check_partial(self) -> None:
        """Bound what is read without completing anything, and start the clock for the rest."""
        if self._stalled <= 0:
            self._since = monotonic()
        if self._stalled < 0:
            self._stalled = 1  # where in these bytes the part began is not known: all but one go uncounted
            return
        self._stalled += self._fed
        if self._stalled > self._limits.head:
            self.stop()
            raise self._head_too_large()

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"The head or trailer of the request is larger than {self._limits.head} bytes.")

    def _body_too_large(self) -> Refusal:
        return Refusal(413, f"The body of the request is larger than {self._limits.body} bytes.")
