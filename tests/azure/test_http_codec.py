"""Requests and responses between frames and functions: the same as the SDK's own converters make of them."""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import azure.functions as func
import pytest
from azure.functions.http import HttpRequestConverter, HttpResponseConverter
from azure.functions.meta import Datum
from hypothesis import given
from hypothesis import strategies as st

from worker_ext.runtimes.azure.http import encode_response
from worker_ext.runtimes.azure.http_payload import decode_response, encode_request
from worker_ext.runtimes.azure.request import FrameRequest

TOKENS = st.text("abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=8)
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
QUERIES = st.text("ab=&+%20;/?é ", max_size=20)
URL = b"http://localhost:7071/api/x"


@given(
    method=st.sampled_from(["GET", "POST", "delete"]),
    fields=st.lists(st.tuples(TEXTS.filter(bool), TEXTS), unique_by=lambda field: field[0], max_size=4),
    route=st.dictionaries(TOKENS, TEXTS, max_size=3),
    headers=st.dictionaries(TOKENS, TEXTS, max_size=4),
    body=st.binary(max_size=40),
)
def test_a_request_is_what_the_sdk_makes_of_it(
    method: str, fields: list[tuple[str, str]], route: dict[str, str], headers: dict[str, str], body: bytes
) -> None:
    query = urlencode(fields)
    url = URL + (f"?{query}".encode() if query else b"")
    encoded = encode_request(method, url, route, body, [(k.encode(), v.encode()) for k, v in headers.items()])
    request = FrameRequest(encoded)

    def texts(values: dict[str, str]) -> dict[str, Datum]:
        return {name: Datum(value, "string") for name, value in values.items()}

    value = {
        "method": Datum(method, "string"),
        "url": Datum(url.decode(), "string"),
        "headers": texts(headers),
        "params": texts(route),
        "query": texts(dict(fields)),
        "body": Datum(body, "bytes"),
    }
    expected = HttpRequestConverter.decode(Datum(value, "http"), trigger_metadata={})
    assert (request.method, request.url, request.get_body()) == (expected.method, expected.url, expected.get_body())
    assert dict(request.params) == dict(expected.params)
    assert dict(request.route_params) == dict(expected.route_params)
    assert dict(request.headers) == dict(expected.headers)
    assert [request.header(name.encode()) for name in headers] == list(headers.values())
    assert request.header(b"traceparent") == ""


@pytest.mark.parametrize("ask", [str, repr, copy.copy, lambda request: request.headers])
def test_a_request_can_be_handled_like_any_other(ask: Callable[[Any], Any]) -> None:
    request = FrameRequest(encode_request("POST", URL + b"?a=1", {"id": "7"}, b'{"b": 2}', [(b"x-name", b"Ann")]))
    ask(request)
    assert isinstance(request, func.HttpRequest)
    assert (request.method, request.params["a"], request.route_params["id"]) == ("POST", "1", "7")
    assert (request.get_json(), request.headers["X-Name"], dict(request.form)) == ({"b": 2}, "Ann", {})
    assert ask(request) is None or copy.copy(request).get_json() == {"b": 2}
    with pytest.raises(AttributeError, match="no attribute 'cookies'"):
        request.cookies


def test_a_value_that_is_called_like_a_header_is_none() -> None:
    request = FrameRequest(encode_request("GET", URL, None, b"", [(b"x", b"traceparent")]))
    assert request.header(b"traceparent") == ""


@given(QUERIES)
def test_query_parameters_are_those_of_the_standard_library(query: str) -> None:
    request = FrameRequest([b"GET", f"{URL.decode()}?{query}".encode(), b"", b""])
    expected: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        expected.setdefault(name, []).append(value)
    assert request.params == {name: ",".join(values) for name, values in expected.items()}


def test_what_comes_more_than_once_is_joined_with_commas() -> None:
    """As the real host hands it over."""
    fields = [(b"x", b"1"), (b"y", b""), (b"x", b"2")]
    request = FrameRequest(encode_request("GET", URL + b"?a=1&b=&a=2&c", None, b"", fields))
    assert request.params == {"a": "1,2", "b": "", "c": ""}
    assert dict(request.headers) == {"x": "1,2", "y": ""}


@given(st.lists(st.binary(max_size=10), min_size=4, max_size=4), st.binary(max_size=20))
def test_bytes_that_are_no_utf8_harm_nobody(headers: list[bytes], path: bytes) -> None:
    request = FrameRequest([b"GET", URL + path, b"", b"", *headers])
    assert len(request.headers) <= 2


RESPONSES = st.builds(
    func.HttpResponse,
    st.none() | st.text(st.characters(codec="utf-8"), max_size=20) | st.binary(max_size=20),
    status_code=st.none() | st.integers(100, 999),
    headers=st.none() | st.dictionaries(st.just("Content-Type") | TOKENS, TEXTS, max_size=3),
    mimetype=st.sampled_from([None, "application/json", "text/html", "image/png"]),
    charset=st.sampled_from([None, "utf-16"]),
)


@given(RESPONSES)
def test_a_response_is_what_the_sdk_makes_of_it(response: func.HttpResponse) -> None:
    status, parts = encode_response(response)
    headers, body = decode_response(parts)
    expected: dict[str, Any] = HttpResponseConverter.encode(response, expected_type=None).value
    assert status == int(expected["status_code"].value)
    assert body == expected["body"].value
    assert {name.decode(): value.decode() for name, value in headers} == {
        name.lower(): datum.value for name, datum in expected["headers"].items()
    }


def test_a_header_can_be_sent_more_than_once() -> None:
    response = func.HttpResponse("x")
    for cookie in ("a=1; Path=/", "b=2"):
        response.headers.add("Set-Cookie", cookie)
    headers, _ = decode_response(encode_response(response)[1])
    assert [value for name, value in headers if name == b"set-cookie"] == [b"a=1; Path=/", b"b=2"]


def test_text_and_nothing_are_responses_too() -> None:
    assert encode_response("é") == (200, ["é".encode(), b"content-type", b"text/plain; charset=utf-8"])
    assert encode_response(None) == (204, [b""])


async def _nobody_awaits() -> None: ...


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (dict, "a value of type dict, but an HTTP function returns an azure.functions.HttpResponse, a str, or None"),
        (bytes, "a value of type bytes"),
        (_nobody_awaits, "a coroutine that nobody awaits: it is async, behind a decorator that is not"),
    ],
)
def test_any_other_value_is_refused(make: Callable[[], Any], message: str, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(TypeError, match=message):
        encode_response(make())
    gc.collect()
    assert not recwarn.list  # that nobody has awaited the coroutine


@pytest.mark.parametrize("status", [0, 99, 1000, 65536, -1])
def test_a_status_must_be_one_of_http(status: int) -> None:
    with pytest.raises(ValueError, match=f"the response has the status {status}; HTTP has 100 to 999"):
        encode_response(func.HttpResponse(status_code=status))


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: x=1", "a\nb", "a\rb"])
def test_a_header_cannot_smuggle_another(value: str) -> None:
    response = func.HttpResponse(mimetype=value)  # the SDK itself refuses such a value only in `headers`
    with pytest.raises(ValueError, match="the response header content-type contains a line break"):
        encode_response(response)
