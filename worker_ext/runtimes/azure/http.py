"""HTTP triggers, the worker's half: requests from the host's payload, answers from what functions return.

The layout is in :mod:`.http_payload`, which the host shares.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

import azure.functions as sdk
from azure.functions.http import HttpRequest

from ..protocol import unpack_json


def decode_request(payload: Sequence[bytes]) -> HttpRequest:
    """The request that a function is given.

    A header that came more than once is joined with commas, as the real host has it; so is a query parameter.
    """
    method, url, route, body = payload[:4]
    headers: dict[str, str] = {}
    for at in range(4, len(payload), 2):
        name, value = payload[at].decode("latin-1"), payload[at + 1].decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    text = url.decode()
    _, question, query = text.partition("?")
    params: dict[str, str] = {}
    if question:
        for name, value in parse_qsl(query, keep_blank_values=True):
            params[name] = f"{params[name]},{value}" if name in params else value
    return HttpRequest(
        method=method.decode(),
        url=text,
        headers=headers,
        params=params,
        route_params=unpack_json(route) if route else {},
        body_type="bytes",
        body=body,
    )


def encode_response(value: Any) -> tuple[int, list[bytes]]:
    """The answer that a function's value makes: an ``HttpResponse``, text, or nothing (204).

    :returns: the status, and the parts.
    :raises TypeError: if the value is none of these.
    :raises ValueError: if a header cannot be sent.
    """
    if isinstance(value, sdk.HttpResponse):
        parts = [value.get_body()]
        has_type = False
        for name, text in value.headers.items():
            lowered = name.lower()
            has_type = has_type or lowered == "content-type"
            parts += (lowered.encode("latin-1"), _header_value(name, str(text)))
        if not has_type:
            mimetype = value.mimetype
            charset = f"; charset={value.charset}" if mimetype.startswith("text/") else ""
            parts += (b"content-type", (mimetype + charset).encode("latin-1"))
        return int(value.status_code), parts
    if isinstance(value, str):
        return 200, [value.encode(), b"content-type", b"text/plain; charset=utf-8"]
    if value is None:
        return 204, [b""]
    if inspect.iscoroutine(value):
        value.close()
        raise TypeError("the function returned a coroutine: is it async, behind a decorator that is not?")
    raise TypeError(
        f"the function returned a {type(value).__name__}; an HTTP function returns an azure.functions.HttpResponse,"
        " a str, or None"
    )


def _header_value(name: str, text: str) -> bytes:
    if "\r" in text or "\n" in text:
        raise ValueError(f"the response header {name} contains a line break")
    return text.encode()

