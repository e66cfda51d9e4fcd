"""Cross-origin requests: what a browser is told."""

from __future__ import annotations

import pytest

from worker_ext.host.cors import Cors, Headers

ORIGIN = b"https://example.org"


def asking(origin: bytes = ORIGIN, **more: bytes) -> dict[bytes, bytes]:
    return {b"origin": origin, **{name.replace("_", "-").encode(): value for name, value in more.items()}}


def preflight(cors: Cors, origin: bytes = ORIGIN) -> Headers | None:
    headers = asking(origin, access_control_request_method=b"PUT", access_control_request_headers=b"x-a, x-b")
    return cors.preflight("OPTIONS", headers)


def test_without_origins_it_is_off() -> None:
    assert not Cors([])
    assert not Cors(["", " "])


@pytest.mark.parametrize("allowed", ["https://example.org", "https://example.org/", " HTTPS://Example.org "])
def test_an_allowed_origin_may_read_the_answer(allowed: str) -> None:
    answer = Cors([allowed]).allow(asking(), [(b"x-a", b"1")])
    assert answer == [(b"x-a", b"1"), (b"access-control-allow-origin", ORIGIN), (b"vary", b"Origin")]


@pytest.mark.parametrize(
    "origin",
    [
        b"http://example.org",
        b"https://example.org:8443",
        b"https://example.org.evil.com",
        b"https://evil.com",
        b"null",
        b"",
    ],
)
def test_any_other_origin_is_told_nothing(origin: bytes) -> None:
    cors = Cors(["https://example.org"])
    assert cors.allow(asking(origin), []) == [(b"vary", b"Origin")]
    assert preflight(cors, origin) == [(b"vary", b"Origin")]


def test_a_preflight_allows_what_is_asked_for() -> None:
    assert preflight(Cors(["https://example.org"])) == [
        (b"access-control-allow-origin", ORIGIN),
        (b"vary", b"Origin"),
        (b"access-control-allow-methods", b"PUT"),
        (b"access-control-allow-headers", b"x-a, x-b"),
    ]


def test_what_is_no_preflight_goes_to_the_functions() -> None:
    cors = Cors(["*"])
    assert cors.preflight("GET", asking(access_control_request_method=b"PUT")) is None
    assert cors.preflight("OPTIONS", asking()) is None
    assert cors.preflight("OPTIONS", {b"access-control-request-method": b"PUT"}) is None


def test_a_star_allows_everybody_and_never_cookies() -> None:
    cors = Cors(["*"], credentials=True)
    assert cors.allow(asking(b"https://anyone.example"), []) == [(b"access-control-allow-origin", b"*")]
    assert cors.allow({}, []) == []


def test_cookies_are_allowed_to_listed_origins_only() -> None:
    cors = Cors(["https://example.org"], credentials=True)
    assert (b"access-control-allow-credentials", b"true") in cors.allow(asking(), [])
    assert (b"access-control-allow-credentials", b"true") in (preflight(cors) or [])
    assert cors.allow(asking(b"https://evil.com"), []) == [(b"vary", b"Origin")]


def test_the_settings_win_over_what_a_function_says() -> None:
    own = [(b"access-control-allow-origin", b"*"), (b"access-control-allow-credentials", b"true"), (b"x-a", b"1")]
    assert Cors(["https://example.org"]).allow(asking(b"https://evil.com"), own) == [
        (b"x-a", b"1"),
        (b"vary", b"Origin"),
    ]
