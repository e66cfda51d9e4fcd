"""HTTP triggers, the worker's half: answers from what functions return, as :mod:`.http_payload` lays them out."""

from __future__ import annotations

from typing import Any

import azure.functions as sdk

from .converters import refuse

_TEXT = [b"content-type", b"text/plain; charset=utf-8"]


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


def _header_value(name: str, value: Any) -> bytes:
    text = str(value)
    if "\r" in text or "\n" in text:
        raise ValueError(f"the response header {name} contains a line break")
    return text.encode()
