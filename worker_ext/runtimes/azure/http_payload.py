"""HTTP triggers, the host's half: how a request is laid out in an invocation, and an answer in its result.

Payload of an invocation: method, URL, route values as JSON (empty if there are none), body, then name and value of
each header in turn, and then the function's other inputs, every one of them (:mod:`.trigger_payload`).
Parts of an answer: body, then name and value of each header. Header names are lower-case.
The host imports this module and must start fast: nothing here imports the SDK.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..protocol import pack_json


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
