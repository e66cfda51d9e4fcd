"""Answers that the host gives itself, and what it asks of requests to it; not those that functions give."""

from __future__ import annotations

import json
from typing import Any

from ..transports.http1 import Exchange, Header

TEXT: list[Header] = [(b"content-type", b"text/plain; charset=utf-8")]
JSON: list[Header] = [
    (b"content-type", b"application/json; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]


def header(exchange: Exchange, name: bytes) -> str:
    """The first value of a header field, empty if there is none.

    :param name: in lower case.
    """
    return next((value.decode("latin-1") for key, value in exchange.headers if key == name), "")


def answer_text(exchange: Exchange, status: int, text: str) -> None:
    """Answer with a sentence."""
    exchange.respond(status, TEXT, f"{text}\n".encode(errors="replace"))


def answer_json(exchange: Exchange, status: int, value: Any) -> None:
    """Answer with a JSON document."""
    exchange.respond(status, JSON, json.dumps(value).encode())


def answer_empty(exchange: Exchange, status: int) -> None:
    """Answer with a status alone."""
    exchange.respond(status, [(b"cache-control", b"no-store")], b"")
