"""HTTP triggers, the host's half: how a request is laid out in an invocation, and an answer in its result.

Payload of an invocation: method, URL, route values as JSON (empty if there are none), body, then name and value of
each header in turn, and then the function's other inputs, every one of them (:mod:`.trigger_payload`).
Parts of an answer: body, then name and value of each header. Header names are lower-case.
The host imports this module and must start fast: nothing here imports the SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import unquote

from ..protocol import pack_json

ID_HEADER = "x-ms-invocation-id"
"""The header that names the invocation that a request belongs to, where requests reach workers by HTTP."""

_TRACE_PARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


def encode_request(
    method: str, url: bytes, route: Mapping[str, str] | None, body: bytes, headers: Iterable[tuple[bytes, bytes]]
) -> list[bytes]:
    """What the worker is sent.

    :param url: the full URL, with the query.
    :param route: the values of the route's parameters.
    """
    parts = [method.encode(), url, pack_json(route) if route else b"", body]
    for header in headers:
        parts += header
    return parts


def decode_response(parts: Sequence[bytes]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of the answer."""
    return list(zip(parts[1::2], parts[2::2], strict=True)), parts[0]


def peek_request(payload: Sequence[bytes]) -> tuple[str, str]:
    """What tells people which request it was: method, path and query, without a key in it; and the id of its trace.

    The second is empty if the request brought no ``traceparent`` (https://www.w3.org/TR/trace-context/).
    """
    path, mark, query = payload[1].decode("latin-1").split("/", 3)[3].partition("?")
    shown = "&".join("code=…" if unquote(part.partition("=")[0]) == "code" else part for part in query.split("&"))
    headers = zip(payload[4::2], payload[5::2], strict=True)
    parent = next((value for name, value in headers if name == b"traceparent"), b"")
    match = _TRACE_PARENT.fullmatch(parent)
    return f"{payload[0].decode()} /{path}{mark}{shown}", match[1].decode() if match else ""
