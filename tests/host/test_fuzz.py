"""Whatever is sent to the host, or stands in its settings files: no crash, and no traceback for the client."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.hosting import DEADLINE, RunningHost, running_host, write_app

from worker_ext.errors import ConfigurationError
from worker_ext.host.app_settings import HostOptions, read_settings
from worker_ext.host.functions import check_http

APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="echo/{a}/{b:int?}")
def Echo(req):
    return func.HttpResponse(req.get_body(), headers={"X-Said": req.params.get("said", "")})

@app.route(route="json")
def Json(req):
    return str(req.get_json()["a"][0])

@app.route(route="closed", auth_level=func.AuthLevel.FUNCTION)
def Closed(req):
    return "closed"
"""

PATIENCE = 0.05
"""Seconds without a byte after which an answer counts as complete. If it was not, less of it is checked."""

bounded = settings(max_examples=120)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})
    with running_host(
        folder, "--enableAuth", "--cors", "https://a.example", environ={"AZURE_FUNCTIONS_ENVIRONMENT": "Production"}
    ) as host:
        yield host


def answer_to(host: RunningHost, request: bytes) -> bytes:
    """What comes back for these bytes."""
    received = b""
    with socket.create_connection(("127.0.0.1", host.port), timeout=DEADLINE) as connection:
        try:
            connection.sendall(request)
            connection.settimeout(PATIENCE)
            while piece := connection.recv(65536):
                received += piece
        except TimeoutError:  # the host waits for more, or keeps the connection open
            pass
        except ConnectionError:  # it has closed on nonsense before all of it was sent
            pass
    return received


texts = st.binary(max_size=40)
paths = st.sampled_from(
    [
        b"/", b"*", b"", b"/api/echo/x", b"/api/echo/x/7", b"/api/json", b"/api/closed", b"/admin/functions/Echo",
        b"/admin/host/status", b"/admin/page/", b"/admin/page/events", b"/admin/functions/Echo/keys/x", b"/%", b"/..",
        b"http://localhost/api/json", b"/api/echo/%00", b"/admin/%ff", b"//",
    ]
)  # fmt: skip
names = st.sampled_from(
    [
        b"host", b"content-length", b"transfer-encoding", b"accept", b"origin", b"sec-fetch-site", b"expect",
        b"connection", b"x-functions-key", b"x-page-token", b"traceparent", b"content-type", b"cookie",
        b"access-control-request-method", b"upgrade",
    ]
)  # fmt: skip
values = st.sampled_from(
    [b"localhost", b"0", b"5", b"-1", b"chunked", b"gzip", b"text/html", b"close", b"100-continue", b"h2c", b"null"]
)
queries = st.sampled_from([b"", b"?", b"?code=", b"?code=x&code=y", b"?%", b"?said=%0d%0aX:1", b"?said=%ff"])
methods = st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"DELETE", b"PATCH"])
bodies = st.sampled_from([b"", b'{"a": [1]}', b'{"a": 1}', b"{", b"5\r\nhello\r\n0\r\n\r\n", b'{"input": {}}'])


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Requests that are sound but for a few parts: if all were nonsense, none would get past the parser."""

    def mostly(sound: st.SearchStrategy[bytes]) -> bytes:
        return draw(texts if draw(st.integers(0, 19)) == 0 else sound)

    target = mostly(paths) + mostly(queries)
    fields = [(mostly(names), mostly(values)) for _ in range(draw(st.integers(0, 3)))]
    body = mostly(bodies)
    fields += [(b"host", mostly(st.just(b"localhost"))), (b"content-length", mostly(st.just(b"%d" % len(body))))]
    head = b"".join(b"%b: %b\r\n" % field for field in fields)
    version = mostly(st.sampled_from([b"1.1", b"1.1", b"1.0"]))
    return b"%b %b HTTP/%b\r\n%b\r\n%b" % (mostly(methods), target, version, head, body)


seen: Counter[bytes] = Counter()
"""How often each status has been answered."""


def check(host: RunningHost, request: bytes) -> None:
    answer = answer_to(host, request)
    seen[answer[9:12]] += 1
    assert not answer or answer.startswith(b"HTTP/1.1 "), answer
    assert b"Traceback" not in answer
    assert b".py" not in answer.partition(b"\r\n\r\n")[2]


@bounded
@given(requests())
@example(b"GET /api/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
def test_requests(host: RunningHost, request: bytes) -> None:
    check(host, request)


@bounded
@given(st.binary(max_size=400))
@example(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")  # what a client says first that expects TLS
@example(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
@example(b"\r\n" * 100)
@example(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
def test_any_bytes(host: RunningHost, data: bytes) -> None:
    check(host, data)


def test_afterwards_the_host_is_as_before(host: RunningHost) -> None:
    """Runs after the tests above, on their host: nothing of ours has failed, and it still serves."""
    assert {b"200", b"400", b"404"} <= seen.keys(), seen
    assert host.request("POST", "/api/json", '{"a": ["yes"]}').text == "yes"
    assert len(host.worker_pids()) == 1
    assert "Handling" not in host.console
    assert "cannot be delivered" not in host.console
    assert "worker_ext" not in host.console


leaves: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(
        ["2.0", "00:05:00", "-1", "*", "http://a.example", "fixedDelay", "true", "7071", "a\r\nb", "admin"]
    )
)  # fmt: skip
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
host_json = st.fixed_dictionaries(
    {},
    optional={
        "version": st.just("2.0") | trees,
        "functionTimeout": trees,
        "functions": trees,
        "watchFiles": trees,
        "watchDirectories": trees,
        "retry": trees
        | st.fixed_dictionaries({"strategy": leaves, "maxRetryCount": leaves}, optional={"delayInterval": leaves}),
        "logging": trees | st.fixed_dictionaries({"logLevel": trees}),
        "extensions": trees
        | st.fixed_dictionaries(
            {
                "http": st.fixed_dictionaries(
                    {},
                    optional={
                        "routePrefix": trees,
                        "maxOutstandingRequests": trees,
                        "maxConcurrentRequests": trees,
                        "customHeaders": trees,
                        "hsts": trees,
                    },
                )
            }
        ),
    },
)
local_settings = st.fixed_dictionaries(
    {},
    optional={
        "IsEncrypted": leaves,
        "Values": trees,
        "ConnectionStrings": trees,
        "Host": trees
        | st.fixed_dictionaries({}, optional={"LocalHttpPort": leaves, "CORS": leaves, "CORSCredentials": leaves}),
    },
)


def check_settings(folder: Path, files: dict[str, bytes]) -> None:
    """The settings are read, or what is wrong is told for people."""
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with contextlib.suppress(ConfigurationError):
        check_http(read_settings(HostOptions(folder)).host)
    for name in files:
        (folder / name).unlink()


@bounded
@given(host=host_json | trees, local=local_settings | trees)
def test_settings_of_any_shape(tmp_path: Path, host: Any, local: Any) -> None:
    check_settings(
        tmp_path, {"host.json": json.dumps(host).encode(), "local.settings.json": json.dumps(local).encode()}
    )


@bounded
@given(st.binary(max_size=200), st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}", b'{"Values": {"A": "\\ud800"}}')
@example(b"[" * 200, b"{" * 200)
def test_settings_files_of_any_bytes(tmp_path: Path, host: bytes, local: bytes) -> None:
    check_settings(tmp_path, {"host.json": host, "local.settings.json": b'{"Values": {}}'})
    check_settings(tmp_path, {"host.json": b'{"version": "2.0"}', "local.settings.json": local})
