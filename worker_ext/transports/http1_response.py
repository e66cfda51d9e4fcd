"""Response heads: what a status and header fields look like on the wire.

All of it that does not change from answer to answer is computed once: the status line with the Date field once a
second for each status in use, the start of a field line once for each name.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from functools import lru_cache
from http import HTTPStatus

from .http1_request import Header

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
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
        if not keep_alive:
            return head + length + b"\r\nconnection: close\r\n\r\n", body, False
        if http_1_0:
            return head + length + b"\r\nconnection: keep-alive\r\n\r\n", body, True
        return head + length + b"\r\n\r\n", body, True

    def _start(self, status: int) -> bytes:
        start = self._starts[status] = _status_line(status) + b"\r\ndate: " + http_date(self._second)
        return start


def http_date(seconds: float) -> bytes:
    """A point in time, in seconds since 1970, as RFC 9110 section 5.6.7 writes it.

    ``time.strftime`` would follow the locale, and ``email.utils`` takes longer to import than the rest of this server.
    """
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year} {hour:02}:{minute:02}:{second:02} GMT".encode()


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
