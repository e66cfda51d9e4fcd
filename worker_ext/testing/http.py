"""HTTP requests as tests write them down, and as the host would send them to a worker."""

from __future__ import annotations

import json as json_codec
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

from ..errors import ConfigurationError
from ..runtimes.azure.http_payload import encode_request

BASE_URL = "http://localhost:7071"
"""What the URLs of requests begin with if they begin with a slash."""


class HttpCall(NamedTuple):
    """A request.

    :ivar method: its method, upper-case.
    :ivar url: the whole URL.
    :ivar path: the path in it, by which its function is found.
    :ivar headers: names and values.
    :ivar body: the body.
    """

    method: str
    url: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes

    def payload(self, route: Mapping[str, str]) -> list[bytes]:
        """What the worker is sent.

        :param route: the values of the route's parameters.
        """
        headers = [(name.encode(), value.encode()) for name, value in self.headers]
        return encode_request(self.method, self.url.encode(), route, self.body, headers)


def encode_http(
    method: str,
    url: str,
    *,
    params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None,
    headers: Mapping[str, str] | Sequence[tuple[str, str]] | None,
    content: bytes | str | None,
    json: Any,
    data: Mapping[str, Any] | None,
) -> HttpCall:
    """Make a request; the parameters are those of :meth:`worker_ext.testing.FunctionAppClient.request`.

    :raises ConfigurationError: if it is given more than one body.
    """
    body, kind = _body(content, json, data)
    given = headers.items() if isinstance(headers, Mapping) else headers or ()
    sent = [(name.lower(), str(value)) for name, value in given]
    if kind and "content-type" not in dict(sent):
        sent.insert(0, ("content-type", kind))
    parts = urlsplit(url if "://" in url else f"{BASE_URL}/{url.lstrip('/')}")
    query = "&".join(filter(None, (parts.query, urlencode(params or {}, doseq=True))))
    whole = urlunsplit(parts._replace(query=query, fragment=""))
    return HttpCall(method.upper(), whole, parts.path or "/", [("host", parts.netloc), *sent], body)


def _body(content: bytes | str | None, json: Any, data: Mapping[str, Any] | None) -> tuple[bytes, str]:
    """The body, and its type; empty if there is none to be said."""
    if (content is not None) + (json is not None) + (data is not None) > 1:
        raise ConfigurationError("a request has one body: content, json or data")
    if json is not None:
        return json_codec.dumps(json).encode(), "application/json"
    if data is not None:
        return urlencode(data, doseq=True).encode(), "application/x-www-form-urlencoded"
    if isinstance(content, str):
        return content.encode(), "text/plain; charset=utf-8"
    return content or b"", ""
