"""Apps as people write them, through a real local host: what clients get of functions, ASGI apps and WSGI apps."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest
from support.hosting import Response, RunningHost, running_host, wait_until, write_app

FUNCTIONS = """
import azure.functions as func
from blueprints.echo import blueprint as echo
from blueprints.answers import blueprint as answers

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
app.register_functions(echo)
app.register_functions(answers)
"""
ECHO = """
import azure.functions as func
import json
from .names import shown

blueprint = func.Blueprint()

@blueprint.route("bytes", methods=["POST"])
def Bytes(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body(), mimetype=req.headers["content-type"])

@blueprint.route("json", methods=["POST"])
async def Json(req: func.HttpRequest) -> str:
    try:
        return json.dumps(req.get_json())
    except ValueError as error:
        return func.HttpResponse(str(error), status_code=400)

@blueprint.route("form", methods=["POST"])
def Form(req: func.HttpRequest) -> str:
    files = {name: [file.filename, file.stream.read().decode()] for name, file in req.files.items()}
    return json.dumps({"form": req.form.to_dict(flat=False), "files": files})

@blueprint.route("seen/{kind}/{number:int?}")
def Seen(req: func.HttpRequest) -> str:
    return json.dumps({
        "method": req.method, "url": shown(req.url), "params": dict(req.params), "route": dict(req.route_params),
        "twice": req.headers.get("X-Twice"), "text": req.headers.get("x-text"),
    })
"""
ANSWERS = """
import azure.functions as func

blueprint = func.Blueprint()

@blueprint.route("nothing")
def Nothing(req): return None

@blueprint.route("text")
async def Text(req) -> str: return "Grüße"

@blueprint.route("status/{code:int}")
def Status(req): return func.HttpResponse(f"{req.route_params['code']}", status_code=int(req.route_params["code"]))

@blueprint.route("cookies")
def Cookies(req):
    response = func.HttpResponse("{}", mimetype="application/json", headers={"X-One": "1"})
    response.headers.add("Set-Cookie", "a=1; Path=/; HttpOnly")
    response.headers.add("Set-Cookie", "b=2; Max-Age=60")
    return response

@blueprint.route("bad/{how}")
def Bad(req):
    match req.route_params["how"]:
        case "header": return func.HttpResponse("x", mimetype="text/html\\r\\nSet-Cookie: evil=1")
        case "status": return func.HttpResponse("x", status_code=70000)
        case "dict": return {"not": "a response"}
        case "raises": raise OSError("no disk")
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    files = {
        "function_app.py": FUNCTIONS,
        "blueprints/__init__.py": "",
        "blueprints/echo.py": ECHO,
        "blueprints/answers.py": ANSWERS,
        "blueprints/names.py": "def shown(url): return url.partition('/api')[2]",
    }
    with running_host(write_app(tmp_path_factory.mktemp("functions"), files)) as running:
        yield running


# Requests


def test_a_body_may_be_any_bytes(host: RunningHost) -> None:
    body = bytes(range(256)) * 1000
    answer = host.request("POST", "/api/bytes", body, {"Content-Type": "application/octet-stream"})
    assert (answer.status, answer.body) == (200, body)
    assert answer.header("content-type") == "application/octet-stream"


def test_a_body_may_be_json(host: RunningHost) -> None:
    assert host.request("POST", "/api/json", '{"ä": [1, null]}'.encode()).json() == {"ä": [1, None]}
    assert host.request("POST", "/api/json", b"{").status == 400
    assert host.request("POST", "/api/json", b"").status == 400


def test_a_body_may_be_a_form(host: RunningHost) -> None:
    fields = urlencode([("a", "1"), ("a", "ü&="), ("b", "")])
    answer = host.request("POST", "/api/form", fields, {"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.json() == {"form": {"a": ["1", "ü&="], "b": [""]}, "files": {}}


def test_a_body_may_be_a_form_with_files(host: RunningHost) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        b'--x\r\nContent-Disposition: form-data; name="f"; filename="f.txt"\r\n\r\ncontent\r\n--x--\r\n'
    )
    answer = host.request("POST", "/api/form", body, {"Content-Type": "multipart/form-data; boundary=x"})
    assert answer.json() == {"form": {"a": ["1"]}, "files": {"f": ["f.txt", "content"]}}


def test_what_a_function_sees_of_a_request(host: RunningHost) -> None:
    text = "Grüße".encode().decode("latin-1")  # the client library writes headers in Latin-1
    answer = host.request("PATCH", "/api/seen/tea/5?a=1&b=x%20y&a=2", headers={"X-Text": text})
    assert answer.json() == {
        "method": "PATCH",
        "url": "/seen/tea/5?a=1&b=x%20y&a=2",
        "params": {"a": "1,2", "b": "x y"},
        "route": {"kind": "tea", "number": "5"},
        "twice": None,
        "text": "Grüße",
    }


def test_a_header_that_comes_twice_is_joined(host: RunningHost) -> None:
    request = b"GET /api/seen/x HTTP/1.1\r\nhost: h\r\nx-twice: 1\r\nX-Twice: 2\r\nconnection: close\r\n\r\n"
    with host.connect() as connection:
        connection.sendall(request)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["twice"] == "1,2"


# Answers


def test_nothing_is_204(host: RunningHost) -> None:
    answer = host.get("/api/nothing")
    assert (answer.status, answer.body, answer.header("content-type")) == (204, b"", None)


def test_text_is_text(host: RunningHost) -> None:
    answer = host.get("/api/text")
    assert (answer.status, answer.text) == (200, "Grüße")
    assert answer.header("content-type") == "text/plain; charset=utf-8"


@pytest.mark.parametrize("status", [200, 201, 299, 302, 404, 418, 500, 599])
def test_a_status_is_any_of_http(status: int, host: RunningHost) -> None:
    answer = host.get(f"/api/status/{status}")
    assert (answer.status, answer.text) == (status, str(status))


def test_cookies_are_headers_of_their_own(host: RunningHost) -> None:
    answer = host.get("/api/cookies")
    cookies = [value for name, value in answer.headers if name == "set-cookie"]
    assert cookies == ["a=1; Path=/; HttpOnly", "b=2; Max-Age=60"]
    assert (answer.header("content-type"), answer.header("x-one")) == ("application/json", "1")


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("header", "ValueError: the response header content-type contains a line break"),
        ("status", "ValueError: the response has the status 70000; HTTP has 100 to 999"),
        ("dict", "TypeError: the function gave a value of type dict, but an HTTP function returns an "),
        ("raises", "OSError: no disk"),
    ],
)
def test_an_answer_that_cannot_be_sent_is_500_and_told(how: str, told: str, host: RunningHost) -> None:
    answer = host.get(f"/api/bad/{how}")
    assert answer.status == 500
    assert answer.header("set-cookie") is None
    host.wait_for(told)
    assert host.get("/api/text").status == 200


# ASGI and WSGI

ASGI = """
import azure.functions as func
import json

async def web(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["started"] = "once"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    body = (await receive())["body"]
    if scope["path"] == "/raise":
        raise OSError("no disk")
    seen = {
        "method": scope["method"], "path": scope["path"], "query": scope["query_string"].decode(),
        "agent": dict(scope["headers"])[b"user-agent"].decode(), "body": body.decode(),
        "started": scope["state"]["started"], "function": scope["azure_functions.function_name"],
    }
    headers = [(b"content-type", b"application/json"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    text = json.dumps(seen).encode()
    await send({"type": "http.response.body", "body": text[:10], "more_body": True})
    await send({"type": "http.response.body", "body": text[10:]})

app = func.AsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS)
"""
WSGI = """
import azure.functions as func
import json

def web(environ, start_response):
    if environ["PATH_INFO"] == "/raise":
        raise OSError("no disk")
    body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"] or 0))
    seen = {
        "method": environ["REQUEST_METHOD"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"],
        "agent": environ["HTTP_USER_AGENT"], "body": body.decode(), "started": "once",
        "function": environ["azure_functions.function_name"],
    }
    headers = [("Content-Type", "application/json"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    start_response("201 Created", headers)
    text = json.dumps(seen).encode()
    return [text[:10], text[10:]]

app = func.WsgiFunctionApp(app=web, http_auth_level=func.AuthLevel.ANONYMOUS, function_name="http_app_func")
"""


@pytest.fixture(scope="module", params=[ASGI, WSGI], ids=["ASGI", "WSGI"])
def web(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    host_json = {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}
    files = {"function_app.py": request.param, "host.json": host_json}
    with running_host(write_app(tmp_path_factory.mktemp("web"), files)) as running:
        yield running


@pytest.mark.parametrize("path", ["/", "/orders", "/orders/5/items"])
@pytest.mark.parametrize(("method", "body"), [("GET", ""), ("POST", "tea"), ("DELETE", "")])
def test_a_web_app_gets_every_path_and_method(method: str, body: str, path: str, web: RunningHost) -> None:
    answer = web.request(method, f"{path}?a=1&b", body or None, {"User-Agent": "test"})
    assert answer.status == 201
    assert answer.json() == {
        "method": method,
        "path": path,
        "query": "a=1&b",
        "agent": "test",
        "body": body,
        "started": "once",
        "function": "http_app_func",
    }
    assert _cookies(answer) == ["a=1", "b=2"]
    assert answer.header("content-type") == "application/json"


def test_a_web_app_that_raises_is_500(web: RunningHost) -> None:
    assert web.get("/raise", {"User-Agent": "test"}).status == 500
    web.wait_for("OSError: no disk")
    assert web.get("/", {"User-Agent": "test"}).status == 201


def _cookies(answer: Response) -> list[str]:
    return [value for name, value in answer.headers if name == "set-cookie"]


# The host is killed

BLOCKING = """
import azure.functions as func
import time

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("block")
async def Block(req):
    open(req.params["file"], "w").close()
    time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
@pytest.mark.parametrize("blocked", [False, True])
def test_nothing_outlives_a_host_that_is_killed(blocked: bool, tmp_path: Path) -> None:
    with running_host(write_app(tmp_path / "app", {"function_app.py": BLOCKING})) as running:
        assert len(running.worker_pids()) == 1
        if blocked:
            running.begin(f"/api/block?file={tmp_path / 'begun'}")
            wait_until((tmp_path / "begun").exists, "the function begins")
        running.process.kill()
        wait_until(lambda: not running.processes(), "the end of the worker", timeout=3.0)
