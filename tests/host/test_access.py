"""Who may use the admin API and the page, and what hostile requests get."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.hosting import DEADLINE, Response, RunningHost, running_host, write_app

from worker_ext.host.access import Access
from worker_ext.transports.http1 import Exchange

APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="hello")
def Hello(req):
    return "hello"

@app.route(route="header")
def Header(req):
    return func.HttpResponse("x", headers={"X-Said": req.params["value"]})

@app.route(route="fail")
def Fail(req):
    raise RuntimeError("secret of the app")
"""

POST = b"POST /admin/functions/Hello HTTP/1.1\r\nHost: localhost\r\n"
PAGE = {"accept": "text/html"}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP, "secret.txt": "secret"})
    with running_host(folder, "--cors", "*") as host:
        yield host


def run_hello(host: RunningHost, headers: Mapping[str, str]) -> Response:
    return host.request("POST", "/admin/functions/Hello", '{"input": ""}', headers)


class TestOtherSites:
    """A site that somebody visits cannot use this host through their browser, even if ``--cors`` allows any origin."""

    @pytest.mark.parametrize(
        "headers",
        [
            {"origin": "https://evil.example"},
            {"origin": "http://localhost:3000"},
            {"origin": "null"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "https://localhost:{port}"},
        ],
        ids=str,
    )
    def test_are_refused(self, host: RunningHost, headers: dict[str, str]) -> None:
        headers = {name: value.format(port=host.port) for name, value in headers.items()}
        seen = len(host.lines)
        assert run_hello(host, headers).status == 403
        assert host.request("POST", "/admin/host/drain", headers=headers).status == 403
        for path in ("/admin/functions", "/admin/host/status", "/admin/page/main.js", "/admin/page/events"):
            answer = host.get(path, headers)
            assert answer.status == 403
            assert answer.header("access-control-allow-origin") is None
        assert "Executing" not in "\n".join(host.lines[seen:])

    def test_get_no_leave_from_a_preflight(self, host: RunningHost) -> None:
        asking = {"origin": "https://evil.example", "access-control-request-method": "POST"}
        assert host.request("OPTIONS", "/api/hello", headers=asking).header("access-control-allow-origin") == "*"
        answer = host.request("OPTIONS", "/admin/functions/Hello", headers=asking)
        assert answer.status == 403
        assert answer.header("access-control-allow-origin") is None

    def test_this_host_itself_may(self, host: RunningHost) -> None:
        own = {"origin": f"http://127.0.0.1:{host.port}", "sec-fetch-site": "same-origin"}
        assert run_hello(host, own).status == 202

    def test_may_lead_to_the_page_but_not_frame_it(self, host: RunningHost) -> None:
        link = {**PAGE, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
        answer = host.get("/", link)
        assert answer.status == 200
        assert "frame-ancestors 'none'" in (answer.header("content-security-policy") or "")


class TestRebinding:
    """A site whose name is made to point to this machine is the same origin for a browser; the Host header tells."""

    @pytest.mark.parametrize(
        "name",
        ["evil.example", "evil.example:7071", "localhost.evil.example", "127.0.0.1.evil.example", "192.0.2.1", ""],
    )
    def test_other_names_are_refused(self, host: RunningHost, name: str) -> None:
        headers = {"host": name}
        assert run_hello(host, headers).status == 403
        assert host.get("/admin/host/status", headers).status == 403
        assert host.get("/admin/page/", {**headers, **PAGE}).status == 403
        root = host.get("/", {**headers, **PAGE})
        assert (root.status, root.text) == (200, "Your function app is up and running.\n")

    @pytest.mark.parametrize("name", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9", "[::1]:7071", "localhost."])
    def test_names_of_this_machine_are_not(self, host: RunningHost, name: str) -> None:
        assert host.get("/admin/host/status", {"host": name}).status == 200
        assert b"<!doctype html>" in host.get("/", {"host": name, **PAGE}).body


class TestThePage:
    """What the page is served with, and to whom."""

    def test_loads_nothing_from_elsewhere(self, host: RunningHost) -> None:
        page = host.get("/", PAGE)
        policy = page.header("content-security-policy") or ""
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "*" not in policy
        files = re.findall(r'(?:src|href)="(/[^"]*)"', page.text)
        assert len(files) >= 5
        for path in files:
            answer = host.get(path)
            assert answer.status == 200
            assert answer.header("x-content-type-options") == "nosniff"
            assert not re.search(r"https?://(?!www\.w3\.org/)", answer.text)

    def test_what_it_asks_needs_its_token(self, host: RunningHost) -> None:
        token = re.search(r'name="page-token" content="([\w-]{43})"', host.get("/", PAGE).text)
        assert token is not None
        for path in ("/admin/page/events", f"/admin/page/invocations/{'0' * 8}-0000-4000-8000-{'0' * 12}"):
            assert host.get(path).status == 403
            assert host.get(path, {"x-page-token": "wrong"}).status == 403
            assert host.request("HEAD", path, headers={"x-page-token": token[1]}).status == 405
        headers = {"x-page-token": token[1]}
        assert host.get(f"/admin/page/invocations/{'0' * 8}-0000-4000-8000-{'0' * 12}", headers).status == 404

    def test_programs_get_text_at_the_root(self, host: RunningHost) -> None:
        assert host.get("/").text == host.get("/", {"accept": "*/*"}).text == "Your function app is up and running.\n"

    @pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
    def test_cannot_be_changed(self, host: RunningHost, method: str) -> None:
        assert host.request(method, "/admin/page/main.js").status == 405

    def test_can_be_turned_off(self, tmp_path: Path) -> None:
        folder = write_app(tmp_path, {"function_app.py": APP})
        with running_host(folder, environ={"AzureWebJobsDisableHomepage": "true"}) as host:
            for headers in (PAGE, {}):
                root = host.get("/", headers)
                assert (root.status, root.text) == (204, "")
            assert host.get("/admin/page/").status == host.get("/admin/page/main.js").status == 404
            assert host.get("/admin/host/status").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/admin/page/../../../app.py",
        "/admin/page/..%2f..%2fapp.py",
        "/admin/page/%2e%2e/site.py",
        "/admin/page/..\\site.py",
        "/admin/page//etc/passwd",
        "/admin/page/static/main.js",
        "/admin/page/.",
        "/admin/functions/../../secret.txt",
        "/admin/functions/..%2f..%2fsecret.txt",
        "/admin/functions/%2e%2e%2fsecret.txt/keys/a",
        "/admin/functions/Hello%00/status",
        "/admin/vfs/secret.txt",
        "/secret.txt",
        "/../secret.txt",
    ],
)
def test_no_path_leads_to_a_file(host: RunningHost, path: str) -> None:
    answer = host.get(path, PAGE)
    assert answer.status in (400, 404)
    assert b"secret" not in answer.body
    assert b"import" not in answer.body


@pytest.mark.parametrize("value", ["a%0d%0aX-Injected:%201", "a%0aX-Injected:%201", "a%00b"])
def test_no_value_becomes_a_header(host: RunningHost, value: str) -> None:
    answer = host.get(f"/api/header?value={value}")
    assert answer.status == 500
    assert answer.header("x-injected") is None


class TestSize:
    """What is too large is refused before it is held in memory."""

    def test_of_a_body(self, host: RunningHost) -> None:
        with host.connect() as connection:
            connection.sendall(
                b"POST /admin/functions/Hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999\r\n\r\n"
            )
            assert connection.recv(100).startswith(b"HTTP/1.1 413 ")

    def test_of_a_head(self, host: RunningHost) -> None:
        with host.connect() as connection:
            connection.sendall(b"GET /admin/host/status HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")

    def test_of_many_keys_in_a_query(self, host: RunningHost) -> None:
        assert host.get("/admin/host/status?" + "code=a&" * 5000).status == 200


def test_slow_requests_hold_up_nobody(host: RunningHost) -> None:
    slow = [host.connect() for _ in range(50)]
    try:
        for connection in slow:
            connection.sendall(
                b"POST /admin/functions/Hello HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
            )
        begun = time.monotonic()
        for _ in range(10):
            assert host.get("/api/hello").status == 200
        assert time.monotonic() - begun < DEADLINE / 2
    finally:
        for connection in slow:
            connection.close()


def test_followers_that_never_read_cost_no_memory(host: RunningHost) -> None:
    token = re.search(r'name="page-token" content="([\w-]+)"', host.get("/", PAGE).text)
    assert token is not None
    ask = f"GET /admin/page/events HTTP/1.1\r\nHost: localhost\r\nX-Page-Token: {token[1]}\r\n\r\n".encode()
    followers: list[socket.socket] = []
    try:
        for _ in range(20):
            follower = host.connect()
            followers.append(follower)
            follower.sendall(ask)
            assert follower.recv(12) == b"HTTP/1.1 200"
        with host.connect() as one_more:
            one_more.sendall(ask)
            assert one_more.recv(12) == b"HTTP/1.1 503"
    finally:
        for follower in followers:
            follower.close()


def test_outside_development_a_client_is_not_told_what_went_wrong(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": APP})
    with running_host(folder, environ={"AZURE_FUNCTIONS_ENVIRONMENT": "Production"}) as host:
        answer = host.get("/api/fail")
        assert (answer.status, answer.body) == (500, b"")


class Connection:
    """A connection from an address that this machine may not have."""

    current = stream = None

    def __init__(self, client: tuple[str, int] | None) -> None:
        self.client = client


@pytest.mark.parametrize(
    ("address", "is_local"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("", False),
        (None, False),
    ],
)
def test_without_keys_only_this_machine_may(address: str | None, is_local: bool) -> None:
    client = None if address is None else (address, 1)
    asked = Exchange(Connection(client), "GET", b"/admin/host/status", [(b"host", b"localhost")], "1.1", True)  # type: ignore[arg-type]
    access = Access("http", "0.0.0.0", None)
    assert access.is_local(asked) is is_local
    assert (access.refusal(asked) is None) is is_local
