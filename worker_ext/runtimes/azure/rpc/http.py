"""HTTP triggers over FunctionRpc: requests from the host's message, and the message of what functions return."""

from __future__ import annotations

from datetime import UTC, datetime
from http.cookies import CookieError, Morsel, SimpleCookie
from typing import Any

import azure.functions as sdk
from azure.functions.http import HttpRequest

from ..converters import refuse
from ..http import checked_status, content_type_of
from . import functions_rpc_pb2 as pb

_EXPIRES = "%a, %d %b %Y %H:%M:%S GMT"
_SAME_SITE = {"lax": "Lax", "strict": "Strict", "none": "ExplicitNone"}


def decode_request(http: pb.RpcHttp) -> HttpRequest:
    """The request that a function is given."""
    kind = http.body.WhichOneof("data")
    body = getattr(http.body, kind) if kind is not None else b""
    return HttpRequest(
        method=http.method,
        url=http.url,
        headers=merged(http.headers, http.nullable_headers),
        params=merged(http.query, http.nullable_query),
        route_params=merged(http.params, http.nullable_params),
        body_type=kind or "bytes",
        body=body,
    )


def merged(plain: Any, nullable: Any) -> dict[str, str]:
    """What the host sent of headers, route or query: in the one form, or in the one that has empty values too."""
    values = dict(plain)
    if nullable:
        values.update((name, value.value) for name, value in nullable.items())
    return values


def encode_response(value: Any, into: pb.TypedData) -> None:
    """Put the answer that a function's value makes into a message.

    :param value: an ``HttpResponse``, text, or ``None`` (204).
    :raises TypeError: if it is none of these.
    :raises ValueError: if the status or a cookie cannot be sent.
    """
    if isinstance(value, sdk.HttpResponse):
        _encode(value, into.http)
    elif isinstance(value, str):
        into.string = value
    elif value is None:
        into.http.status_code = "204"
        into.http.body.bytes = b""
    else:
        raise refuse(value, "an HTTP function returns an azure.functions.HttpResponse, a str, or None")


def _encode(response: sdk.HttpResponse, http: pb.RpcHttp) -> None:
    http.status_code = str(checked_status(response))
    names: dict[str, str] = {}  # lower case → as it was written first
    for name, text in response.headers.items():
        lowered = name.lower()
        if lowered == "set-cookie":
            _add_cookies(str(text), http)
        elif lowered in names:  # a map has each name once; HTTP joins repeated fields with commas
            http.headers[names[lowered]] += f", {text}"
        else:
            names[lowered] = name
            http.headers[name] = str(text)
    if "content-type" not in names:
        http.headers["content-type"] = content_type_of(response)
    http.body.bytes = response.get_body() or b""


def _add_cookies(text: str, http: pb.RpcHttp) -> None:
    try:
        cookies = SimpleCookie(text)
    except CookieError as error:
        raise ValueError(f"the response header Set-Cookie is {text!r}: {error}") from None
    if not cookies:
        raise ValueError(f"the response header Set-Cookie is {text!r}, which is no cookie")
    for name, morsel in cookies.items():
        _add_cookie(name, morsel, http.cookies.add())


def _add_cookie(name: str, morsel: Morsel[str], cookie: pb.RpcHttpCookie) -> None:
    cookie.name, cookie.value = name, morsel.value
    # As the stock worker has it: these are always there, the others when the cookie has them.
    cookie.domain.value, cookie.path.value = morsel["domain"], morsel["path"]
    cookie.secure.value, cookie.http_only.value = bool(morsel["secure"]), bool(morsel["httponly"])
    if morsel["expires"]:
        moment = datetime.strptime(morsel["expires"].replace("-", " "), _EXPIRES).replace(tzinfo=UTC)
        cookie.expires.value.seconds = int(moment.timestamp())
    if morsel["max-age"] not in ("", None):
        cookie.max_age.value = float(morsel["max-age"])
    cookie.same_site = _SAME_SITE.get(str(morsel["samesite"]).lower(), "None")
