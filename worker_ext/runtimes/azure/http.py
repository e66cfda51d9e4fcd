"""HTTP triggers, the worker's half: requests from the host's payload, answers from what functions return.

The layout is in :mod:`.http_payload`, which the host shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote_plus

import azure.functions as sdk
from azure.functions.http import HttpRequest

from ..protocol import unpack_json
from .converters import refuse

_TEXT = [b"content-type", b"text/plain; charset=utf-8"]


def decode_request(payload: Sequence[bytes]) -> tuple[HttpRequest, dict[str, str]]:
    """The request that a function is given, and its headers in a plain dict, where looking one up is cheap.

    A header that came more than once is joined with commas, as the real host has it; so is a query parameter.
    """
    method, url, route, body = payload[:4]
    headers: dict[str, str] = {}
    for at in range(4, len(payload), 2):
        name, value = payload[at].decode("latin-1"), payload[at + 1].decode("utf-8", "replace")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    text = url.decode("utf-8", "replace")
    _, question, query = text.partition("?")
    request = HttpRequest(
        method=method.decode(),
        url=text,
        headers=headers,
        params=_parameters(query) if question else {},
        route_params=unpack_json(route) if route else {},
        body_type="bytes",
        body=body,
    )
    return request, headers


def encode_response(value: Any) -> tuple[int, list[bytes]]:
    """The answer that a function's value makes: an ``HttpResponse``, text, or nothing (204).

    :returns: the status, and the parts.
    :raises TypeError: if the value is none of these.
    :raises ValueError: if the status or a header cannot be sent.
    """
    if isinstance(value, sdk.HttpResponse):
        status = checked_status(value)
        parts = [value.get_body()]
        has_type = False
        for name, text in value.headers.items():
            lowered = name.lower()
            has_type = has_type or lowered == "content-type"
            parts += (lowered.encode("latin-1"), _header_value(name, text))
        if not has_type:
            parts += (b"content-type", _header_value("content-type", content_type_of(value)))
        return status, parts
    if isinstance(value, str):
        return 200, [value.encode(), *_TEXT]
    if value is None:
        return 204, [b""]
    raise refuse(value, "an HTTP function returns an azure.functions.HttpResponse, a str, or None")


def checked_status(response: sdk.HttpResponse) -> int:
    """The status of a response.

    :raises ValueError: if HTTP has no such status.
    """
    status = int(response.status_code)
    if not 100 <= status <= 999:
        raise ValueError(f"the response has the status {status}; HTTP has 100 to 999")
    return status


def content_type_of(response: sdk.HttpResponse) -> str:
    """The content type of a response that has no header of that name."""
    mimetype: str = response.mimetype
    return f"{mimetype}; charset={response.charset}" if mimetype.startswith("text/") else mimetype


def _parameters(query: str) -> dict[str, str]:
    """What ``urllib.parse.parse_qsl`` finds; four times as fast for the usual query, in which nothing is escaped."""
    params: dict[str, str] = {}
    for field in query.split("&"):
        name, _, value = field.partition("=")
        if "%" in field or "+" in field:
            name, value = unquote_plus(name), unquote_plus(value)
        if field:
            params[name] = f"{params[name]},{value}" if name in params else value
    return params


def _header_value(name: str, value: Any) -> bytes:
    text = str(value)
    if "\r" in text or "\n" in text:
        raise ValueError(f"the response header {name} contains a line break")
    return text.encode()
