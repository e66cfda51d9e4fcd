"""What a request head must satisfy beyond what llhttp checks; pure functions on bytes.

llhttp in its strict default refuses malformed lines, obsolete line folding, control characters, repeated or signed
Content-Length, and Content-Length beside Transfer-Encoding. What it leaves open is decided here, after RFC 9110 and
RFC 9112, and where those leave a choice, as Kestrel (the Azure Functions host's server) does.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NoReturn

from ..errors import ProtocolError

Header = tuple[bytes, bytes]
"""A header field: its name and its value."""

_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]*)(?::[0-9]*)?")
_ABSOLUTE_FORM = re.compile(rb"https?://([^/?]+)(.*)", re.IGNORECASE)


class Refusal(ProtocolError):
    """A request that the server answers itself, after which it closes the connection.

    :param status: the status code of that answer.
    :param message: what is wrong with the request, for the person who reads the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def read_head(method: bytes, target: bytes, version: str, headers: list[Header]) -> tuple[bytes, int | None, bool]:
    """Check a request head and find out what follows it.

    :param method: the method as sent.
    :param target: the request target in any of its four forms.
    :param version: ``major.minor`` of the protocol.
    :param headers: all fields, names in lower case. The authority of an absolute-form target replaces the Host field
        in here, as RFC 9112 section 3.2.2 demands.
    :returns: the target's path and query, or ``*``; the number of body bytes announced, ``None`` for a chunked body,
        whose length shows at its end; and whether the client waits for ``100 Continue`` before it sends the body.
    :raises Refusal: if the request must not be handled.
    """
    fields = dict(headers)
    if version != "1.1":
        if version != "1.0":
            raise Refusal(505, f"This server speaks HTTP/1.1 and HTTP/1.0, not HTTP/{version}.")
    elif b"host" not in fields:
        raise Refusal(400, "The request has no Host header.")
    if len(fields) != len(headers) and sum(name == b"host" for name, _ in headers) > 1:
        raise Refusal(400, "The request has more than one Host header.")
    if not _is_host(fields.get(b"host", b"")):
        raise Refusal(400, "The Host header is not a host name with an optional port.")
    # CONNECT comes before the target, whose authority-form is good for nothing else.
    if method == b"CONNECT":
        raise Refusal(501, "This server is not a proxy: CONNECT is not supported.")
    if not target.startswith(b"/") or b"#" in target:
        target = _reduce_target(method, target, headers)

    length: int | None = 0
    if b"content-length" in fields:
        length = int(fields[b"content-length"])
    elif b"transfer-encoding" in fields:
        _check_coding(fields[b"transfer-encoding"], version)
        length = None
    # An HTTP/1.0 client does not know 100 Continue (RFC 9110 section 10.1.1).
    if b"expect" not in fields or version == "1.0":
        return target, length, False
    if fields[b"expect"].lower() != b"100-continue":
        raise Refusal(417, "Of all expectations only 100-continue can be met.")
    return target, length, True


@lru_cache(maxsize=64)
def _is_host(value: bytes) -> bool:
    return _HOST.fullmatch(value) is not None


def _reduce_target(method: bytes, target: bytes, headers: list[Header]) -> bytes:
    """The path and query of a target that is not plainly in origin-form."""
    if b"#" in target:
        _refuse_target()
    if target == b"*" and method == b"OPTIONS":
        return target
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None or not _is_host(match[1]):
        _refuse_target()
    host = (b"host", match[1])
    headers[:] = [host if field[0] == b"host" else field for field in headers]
    if host not in headers:  # only HTTP/1.0 may come without one
        headers.append(host)
    path = match[2]
    return path if path.startswith(b"/") else b"/" + path


def _refuse_target() -> NoReturn:
    raise Refusal(400, "The request target is neither a path nor an http or https URL.")


def _check_coding(value: bytes, version: str) -> None:
    """Refuse each Transfer-Encoding but ``chunked``, by the rules of RFC 9112 sections 6.1 and 6.3."""
    codings = [coding.strip() for coding in value.lower().split(b",")]
    if version == "1.0" or codings[-1] != b"chunked":
        raise Refusal(400, "Where the body of the request ends cannot be told from its Transfer-Encoding.")
    if len(codings) > 1:
        raise Refusal(501, "Of all transfer codings only chunked is supported.")
