"""The HTTP request that a function is given, made of what the host sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus

from azure.functions.http import HttpRequest

from ..protocol import unpack_json

_FIRST_HEADER = 4
_PRIVATE = "_HttpRequest__"  # what Python makes of the SDK's own names for what a request is made of


class FrameRequest(HttpRequest):  # type: ignore[misc, unused-ignore]
    """The SDK's request, of which only that is made which somebody looks at.

    Most functions look at one thing: a parameter, a value of the route, or the body. Headers above all cost more to
    decode than a short function takes.

    :param payload: method, URL, route values as JSON, body, then name and value of each header, as
        :mod:`.http_payload` lays them out.
    """

    def __init__(self, payload: Sequence[bytes]) -> None:
        self._payload = payload
        self._params: Mapping[str, str] | None = None

    def __getattr__(self, name: str) -> Any:
        """Make what the SDK would have made at once, when its methods first ask for it."""
        if not name.startswith(_PRIVATE):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        payload = self._payload
        super().__init__(
            method=payload[0].decode(),
            url=self.url,
            headers=self._headers(),
            params=self.params,
            route_params=unpack_json(payload[2]) if payload[2] else {},
            body_type="bytes",
            body=payload[3],
        )
        return object.__getattribute__(self, name)

    @property
    def url(self) -> str:
        """The full URL, with the query."""
        return self._payload[1].decode("utf-8", "replace")

    @property
    def params(self) -> Mapping[str, str]:
        """The parameters of the query. One that came more than once is joined with commas, as the real host has it."""
        if self._params is None:
            _, question, query = self.url.partition("?")
            self._params = MappingProxyType(_parameters(query) if question else {})
        return self._params

    def get_body(self) -> bytes:
        """The body."""
        return self._payload[3]

    def header(self, name: bytes) -> str:
        """The value of a header, empty if it did not come, without decoding the others.

        :param name: its name in lower case, which must be no word that can stand for a value.
        """
        payload = self._payload
        if name not in payload:
            return ""
        return self._headers().get(name.decode(), "")

    def _headers(self) -> dict[str, str]:
        """All headers; one that came more than once is joined with commas, as the real host has it."""
        headers: dict[str, str] = {}
        payload = self._payload
        for at in range(_FIRST_HEADER, len(payload), 2):
            name, value = payload[at].decode("latin-1"), payload[at + 1].decode("utf-8", "replace")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return headers


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
