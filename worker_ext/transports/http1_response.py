"""Response heads: what a status and header fields look like on the wire.

All of it that does not change from answer to answer is computed once: the status line with the Date field once a
second for each status in use, the start of a field line once for each name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from enum import Enum, auto
from functools import lru_cache
from http import HTTPStatus

from .http1_request import Header

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Framing(Enum):
    """How the end of a body is told that has no Content-Length."""

    CHUNKED = auto()
    CLOSE = auto()
    """By the end of the connection."""
    NO_BODY = auto()
    """There is none to send: the request was HEAD, or the status has none."""


_OWN = frozenset((b"connection", b"content-length", b"date", b"keep-alive", b"proxy-connection", b"transfer-encoding"))
"""Fields that are the server's business; those that describe the connection would be wrong from anyone else."""
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class ResponseHeads:
    """Makes response heads; :meth:`tick` must be called about once a second for a right Date.

    No Server field is sent: RFC 9110 leaves it to the server, it is of no use to a client, and it tells an attacker
    which weaknesses to try.
    """

    def __init__(self) -> None:
        self._second = 0
        self._starts: dict[int, bytes] = {}
        self.tick()

    def tick(self) -> None:
        """Let the Date field follow the clock."""
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._starts.clear()

    def encode(
        self,
        status: int,
        headers: Sequence[Header],
        body: bytes,
        *,
        head_only: bool = False,
        keep_alive: bool = True,
        http_1_0: bool = False,
    ) -> tuple[bytes, bytes, bool]:
        """Encode one answer.

        :param status: 100 to 999.
        :param headers: the fields that the handler wants.
        :param body: the body that a GET gets.
        :param head_only: whether the request was HEAD: the length is told, the body is not sent.
        :param keep_alive: whether the connection may stay open.
        :param http_1_0: whether the client must be told so, as HTTP/1.0 closes by default.
        :returns: the head, the body to send after it, and whether the connection stays open.
        :raises ValueError: if the status or a field cannot be sent.
        :raises TypeError: if the body is not bytes.
        """
        if not isinstance(body, bytes):
            raise TypeError(f"a body must be bytes, not {type(body).__name__}")
        head, declared, keep_alive = self._fields(status, headers, keep_alive)
        if status < 200:
            # Not final: the client would go on waiting for an answer, which only the end of the connection prevents.
            keep_alive = False
            length = body = b""
        elif status == 204 or status == 304:
            length = body = b""
        else:
            if status == 205:
                body = b""
            length = b"\r\ncontent-length: %d" % len(body)
            if head_only:
                if declared is not None and not body:
                    length = b"\r\ncontent-length: %d" % _length(declared)
                body = b""
        return head + length + _end(keep_alive, http_1_0), body, keep_alive

    def encode_stream(
        self,
        status: int,
        headers: Sequence[Header],
        *,
        head_only: bool = False,
        keep_alive: bool = True,
        http_1_0: bool = False,
    ) -> tuple[bytes, int | Framing, bool]:
        """Encode the head of an answer whose body comes piece by piece; the parameters are those of :meth:`encode`.

        :returns: the head, the length of the body or how else its end is told, and whether the connection stays open.
        :raises ValueError: if the status or a field cannot be sent; among others an interim status, 1xx.
        """
        if status < 200:
            raise ValueError(f"{status} is not the status of an answer with a body")
        head, declared, keep_alive = self._fields(status, headers, keep_alive)
        body: int | Framing
        if status in (204, 304):
            body = Framing.NO_BODY
        elif status == 205:
            body, head = Framing.NO_BODY, head + b"\r\ncontent-length: 0"
        elif declared is not None:
            body = _length(declared)
            head += b"\r\ncontent-length: %d" % body
        elif http_1_0:  # it knows no chunks
            body, keep_alive = Framing.CLOSE, False
        else:
            body = Framing.CHUNKED
            head += b"\r\ntransfer-encoding: chunked"
        return head + _end(keep_alive, http_1_0), Framing.NO_BODY if head_only else body, keep_alive

    def _fields(self, status: int, headers: Sequence[Header], keep_alive: bool) -> tuple[bytes, bytes | None, bool]:
        """The status line with the header fields, the Content-Length given among them, and the wish for keep-alive."""
        start = self._starts.get(status) or self._start(status)
        lines = [start]
        declared: bytes | None = None
        for name, value in headers:
            prefix = _prefix(name)
            if prefix:
                lines.append(prefix + value)
                continue
            name = name.lower()
            if name == b"content-length":
                declared = value
            elif name == b"connection":
                keep_alive = keep_alive and b"close" not in value.lower()
            elif name == b"date":
                start = lines[0] = _status_line(status)
                lines.append(b"date: " + value)
        head = b"\r\n".join(lines)
        # Each line break after the start must be one that `join` has put there: one look at the whole head is
        # cheaper than one at each name and value.
        breaks = len(lines) - 1
        if head.count(b"\n", len(start)) != breaks or head.count(b"\r", len(start)) != breaks or b"\0" in head:
            raise ValueError("a header value must not contain CR, LF or NUL")
        return head, declared, keep_alive

    def _start(self, status: int) -> bytes:
        start = self._starts[status] = _status_line(status) + b"\r\ndate: " + http_date(self._second)
        return start


def http_date(seconds: float) -> bytes:
    """A point in time, in seconds since 1970, as RFC 9110 section 5.6.7 writes it.

    ``time.strftime`` would follow the locale, and ``email.utils`` takes longer to import than the rest of this server.
    """
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT".encode()


def _end(keep_alive: bool, http_1_0: bool) -> bytes:
    """The last lines of a head: what becomes of the connection, where that is not clear without saying."""
    if not keep_alive:
        return b"\r\nconnection: close\r\n\r\n"
    return b"\r\nconnection: keep-alive\r\n\r\n" if http_1_0 else b"\r\n\r\n"


def _status_line(status: int) -> bytes:
    if not 100 <= status <= 999:
        raise ValueError(f"{status} is not a status code: those are 100 to 999")
    return f"HTTP/1.1 {status:d} {_PHRASES.get(status, '')}".encode()


@lru_cache(maxsize=256)
def _prefix(name: bytes) -> bytes:
    """``name: ``, or nothing for a field that the server writes itself."""
    if _TOKEN.fullmatch(name) is None:
        raise ValueError(f"{name!r} is not a header name")
    return b"" if name.lower() in _OWN else name + b": "


def _length(declared: bytes) -> int:
    if not declared.isdigit():
        raise ValueError(f"content-length: {declared!r} is not a number")
    return int(declared)
