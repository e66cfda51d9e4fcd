"""HTTP, end to end: a real host and a real worker, as a client sees them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import Response, RunningHost, running_host, write_app

APP = """
import asyncio, json, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="hello", methods=["GET", "HEAD"])
def hello(req):
    return func.HttpResponse(f"Hello, {req.params.get('name', 'world')}.")

@app.route(route="echo/{*path}")
def echo(req):
    return func.HttpResponse(req.get_body(), status_code=201, mimetype=req.headers.get("content-type"))

@app.route(route="size", methods=["POST"])
def size(req):
    body = req.get_body()
    return f"{len(body)} {body[:1]!r} {body[-1:]!r}"

@app.route(route="sum", methods=["POST"])
async def add(req):
    return func.HttpResponse(json.dumps({"sum": sum(req.get_json()["numbers"])}), mimetype="application/json")

@app.route(route="about/{kind:alpha}/{number:int?}")
def about(req):
    return json.dumps({"method": req.method, "url": req.url, "route": dict(req.route_params),
                       "params": dict(req.params), "headers": dict(req.headers)})

@app.route(route="headers")
def headers(req):
    response = func.HttpResponse(b"\\x00\\xff", mimetype="image/x-test")
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2; HttpOnly")
    response.headers["X-Name"] = "value"
    return response

@app.route(route="nothing")
def nothing(req):
    return None

@app.route(route="status/{code:int}")
def status(req):
    return func.HttpResponse("body", status_code=int(req.route_params["code"]))

@app.route(route="fail")
def fail(req):
    secret = "not for the client in production"
    raise KeyError("the reason")

@app.route(route="wrong")
def wrong(req):
    return 42

@app.route(route="unsendable")
def unsendable(req):
    return func.HttpResponse("x", headers={"X-Bad": "a\\r\\nX-Injected: b"})

@app.route(route="sync")
def sync(req):
    time.sleep(0.2)
    return "slept"

@app.route(route="together")
def together(req):
    time.sleep(0.2)
    return "slept"

@app.route(route="async_together")
async def async_together(req):
    await asyncio.sleep(0.2)
    return "waited"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})
    with running_host(folder, "--verbose") as host:
        yield host


def raw(host: RunningHost, request: bytes) -> bytes:
    """Send bytes and read until the server closes."""
    with host.connect() as connection:
        connection.sendall(request)
        answer = b""
        while data := connection.recv(65536):
            answer += data
        return answer


def about(response: Response) -> dict[str, dict[str, str]]:
    assert response.status == 200, response.text
    return dict(response.json())


def test_a_function_answers_under_the_prefix_with_its_query(host: RunningHost) -> None:
    response = host.get("/api/hello?name=J%C3%BCrgen%20B")
    assert (response.status, response.text) == (200, "Hello, Jürgen B.")
    assert response.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("path", ["/hello", "/api", "/api/none", "/api/hello/more", "/API%2Fhello"])
def test_what_no_route_matches_is_404_with_an_empty_body(host: RunningHost, path: str) -> None:
    response = host.get(path)
    assert (response.status, response.body) == (404, b"")


def test_a_method_that_no_function_takes_is_404_as_in_production(host: RunningHost) -> None:
    assert host.request("POST", "/api/hello", b"x").status == 404


def test_the_root_says_that_the_app_is_up(host: RunningHost) -> None:
    assert host.get("/").status == 200


@pytest.mark.parametrize("path", ["/runtime/webhooks/x", "/admin", "/admin/nothing", "/administrator"])
def test_reserved_paths_without_anything_there(host: RunningHost, path: str) -> None:
    assert host.get(path).status == 404


def test_head_has_the_length_of_the_body_and_no_body(host: RunningHost) -> None:
    response = host.request("HEAD", "/api/hello")
    assert (response.status, response.header("content-length"), response.body) == (200, "13", b"")


def test_route_parameters_are_decoded_and_an_absent_one_is_no_value(host: RunningHost) -> None:
    assert about(host.get("/api/about/Abc/7"))["route"] == {"kind": "Abc", "number": "7"}
    assert about(host.get("/API/ABOUT/x"))["route"] == {"kind": "x"}
    assert host.get("/api/about/x/seven").status == 404


def test_the_url_is_the_one_that_the_client_asked_for(host: RunningHost) -> None:
    response = about(host.get("/api/about/x?a=1&b=%20&a=2", {"Host": "example.org:81"}))
    assert response["url"] == "http://example.org:81/api/about/x?a=1&b=%20&a=2"
    assert response["params"] == {"a": "1,2", "b": " "}


def test_repeated_request_headers_are_joined(host: RunningHost) -> None:
    answer = raw(
        host,
        b"GET /api/about/x HTTP/1.1\r\nHost: h\r\nX-List: a\r\nx-list: b\r\nCookie: c=1\r\nConnection: close\r\n\r\n",
    )
    headers = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert headers["x-list"] == "a,b"
    assert headers["cookie"] == "c=1"


def test_repeated_response_headers_cookies_and_binary_bodies(host: RunningHost) -> None:
    response = host.get("/api/headers")
    assert response.body == b"\x00\xff"
    assert response.header("content-type") == "image/x-test"
    assert response.header("x-name") == "value"
    assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1; Path=/", "b=2; HttpOnly"]


def test_json_goes_in_and_out(host: RunningHost) -> None:
    response = host.request("POST", "/api/sum", json.dumps({"numbers": [1, 2, 3.5]}))
    assert response.json() == {"sum": 6.5}
    assert response.header("content-type") == "application/json"


def test_every_byte_of_a_body_survives(host: RunningHost) -> None:
    body = bytes(range(256)) * 5
    response = host.request("PUT", "/api/echo/a/b", body, {"Content-Type": "application/octet-stream"})
    assert (response.status, response.body) == (201, body)


def test_a_chunked_request_body(host: RunningHost) -> None:
    pieces = [b"a", b"", b"bc" * 5000, b"d"]
    assert host.request("POST", "/api/echo/x", iter(pieces)).body == b"".join(pieces)


def test_a_body_of_100_megabytes(host: RunningHost) -> None:
    body = b"<" + bytes(104_857_598) + b">"
    assert host.request("POST", "/api/size", body).text == "104857600 b'<' b'>'"


def test_a_body_over_the_limit_is_refused_before_it_is_sent(host: RunningHost) -> None:
    answer = raw(host, b"POST /api/size HTTP/1.1\r\nHost: h\r\nContent-Length: 104857601\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"104857600 bytes" in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET /api/hello HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /api/hello HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n", b"400"),
        (b"POST /api/size HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
        (b"POST /api/size HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"400"),
        (b"GET /api/hello HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", b"431"),
        (b"GET /api/hello HTTP/3.0\r\nHost: h\r\n\r\n", b"400"),
    ],
    ids=["no-http", "no-host", "two-hosts", "smuggling", "bad-chunk", "large-head", "version"],
)
def test_a_malformed_request_is_told_so_and_harms_nobody_else(
    host: RunningHost, request_: bytes, status: bytes
) -> None:
    answer = raw(host, request_)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:200]
    assert host.get("/api/hello").status == 200


def test_none_is_204_and_statuses_are_the_functions(host: RunningHost) -> None:
    response = host.get("/api/nothing")
    assert (response.status, response.body) == (204, b"")
    assert host.get("/api/status/418").status == 418
    assert host.get("/api/status/304").body == b""


def test_requests_on_one_connection_are_answered_in_order(host: RunningHost) -> None:
    one = b"GET /api/hello?name=%d HTTP/1.1\r\nHost: h\r\n%b\r\n"
    answer = raw(host, one % (1, b"") + one % (2, b"") + one % (3, b"Connection: close\r\n"))
    assert [part[:1] for part in answer.split(b"Hello, ")[1:]] == [b"1", b"2", b"3"]


@pytest.mark.parametrize("path", ["/api/together", "/api/async_together"])
def test_functions_run_side_by_side(host: RunningHost, path: str) -> None:
    requests = [host.begin(path) for _ in range(3)]
    assert {request.answer().status for request in requests} == {200}
    name = path.rpartition("/")[2]
    host.wait_for(f"Executed 'Functions.{name}'", count=3)
    events = [line.split()[1] for line in host.lines if f"'Functions.{name}'" in line]
    assert events == ["Executing"] * 3 + ["Executed"] * 3


def test_a_failed_function_tells_developers_why(host: RunningHost) -> None:
    response = host.get("/api/fail")
    assert response.status == 500
    assert response.text.startswith("KeyError: 'the reason'")
    assert "function_app.py" in response.text
    assert "in fail" in response.text


def test_a_value_that_http_cannot_carry_is_the_functions_failure(host: RunningHost) -> None:
    assert "of type int" in host.get("/api/wrong").text
    response = host.get("/api/unsendable")
    assert response.status == 500
    assert response.header("x-injected") is None
    response = host.get("/api/status/99")
    assert (response.status, "99" in response.text) == (500, True)


def test_a_client_that_leaves_does_not_stop_its_function(host: RunningHost) -> None:
    seen = len(host.lines)
    with host.connect() as connection:
        connection.sendall(b"GET /api/sync HTTP/1.1\r\nHost: h\r\n\r\n")
        host.wait_for("Executing 'Functions.sync'", since=seen)
    host.wait_for("Executed 'Functions.sync' .Succeeded", since=seen)
    host.wait_for("The client of GET /api/sync left before its answer", since=seen)


def test_a_client_that_leaves_in_the_middle_of_its_body_starts_no_function(host: RunningHost) -> None:
    seen = len(host.lines)
    with host.connect() as connection:
        connection.sendall(b"POST /api/size HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""
    assert host.get("/api/hello").status == 200
    host.wait_for("Executed 'Functions.hello'", since=seen)
    assert "Functions.size" not in "\n".join(host.lines[seen:])


def test_only_this_machine_can_connect(host: RunningHost) -> None:
    """The host listens on the loopback address alone, so that the machine's other addresses refuse."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing; tells the address that would be used
        address = probe.getsockname()[0]
    if address.startswith("127."):
        address = "127.0.0.2"
    with pytest.raises(OSError):
        socket.create_connection((address, host.port), timeout=2)


def test_in_production_a_failure_says_nothing_about_the_code(tmp_path: Path) -> None:
    write_app(
        tmp_path,
        {"function_app.py": APP, "local.settings.json": {"Values": {"AZURE_FUNCTIONS_ENVIRONMENT": "Production"}}},
    )
    with running_host(tmp_path) as host:
        response = host.get("/api/fail")
        assert (response.status, response.body) == (500, b"")
        host.wait_for("KeyError: 'the reason'")
