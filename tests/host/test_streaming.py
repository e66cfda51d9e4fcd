"""Functions that stream HTTP, through a real host: requests and answers travel piece by piece."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import DEADLINE, RunningHost, running_host, write_app

APP = """
import asyncio
import logging
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, Response, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
steps = asyncio.Queue()

@app.route(route="ticks")
async def ticks(req: Request) -> StreamingResponse:
    async def pieces():
        try:
            while (step := await steps.get()) != "end":
                yield f"data: {step}\\n\\n"
        finally:
            logging.warning("the generator has ended")
    return StreamingResponse(pieces(), media_type="text/event-stream", headers={"X-Tick": "yes"})

@app.route(route="step/{name}")
async def step(req: Request) -> Response:
    await steps.put(req.path_params["name"])
    return Response("", status_code=202)

seen = asyncio.Queue()

@app.route(route="collect", methods=["POST"])
async def collect(req: Request) -> Response:
    async for piece in req.stream():
        await seen.put(piece)
    return Response("all of it")

@app.route(route="next")
async def next_piece(req: Request) -> Response:
    return Response(await seen.get())

@app.route(route="count", methods=["POST"])
async def count(req: Request) -> JSONResponse:
    size = 0
    async for piece in req.stream():
        size += len(piece)
    return JSONResponse({"size": size, "query": req.query_params.get("q"), "host": req.headers["host"],
                         "id": "x-ms-invocation-id" in req.headers, "hop": req.headers.get("te")})

@app.route(route="ignores", methods=["POST"])
async def ignores(req: Request) -> Response:
    return Response("read nothing")

@app.route(route="waits")
async def waits(req: Request) -> Response:
    logging.warning("it waits")
    try:
        await asyncio.sleep(1000)
    except asyncio.CancelledError:
        logging.warning("it was cancelled")
        raise

@app.route(route="fails")
async def fails(req: Request) -> Response:
    raise ValueError("no")

@app.route(route="breaks")
async def breaks(req: Request) -> StreamingResponse:
    async def pieces():
        yield "some"
        raise ValueError("in the middle")
    return StreamingResponse(pieces())

@app.route(route="sync")
def sync(req: Request) -> str:
    return "sync"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})
    with running_host(folder) as running:
        yield running


def _begin(host: RunningHost, path: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("localhost", host.port, timeout=DEADLINE)
    connection.request("GET", path)
    return connection.getresponse()


def test_an_answer_comes_piece_by_piece(host: RunningHost) -> None:
    answer = _begin(host, "/api/ticks")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert answer.headers["x-tick"] == "yes"
    for name in ("one", "two"):
        assert host.get(f"/api/step/{name}").status == 202
        assert answer.readline() + answer.readline() == f"data: {name}\n\n".encode()
    host.get("/api/step/end")
    assert answer.read() == b""


def test_a_request_is_read_as_it_comes(host: RunningHost) -> None:
    """The function has each piece before the next one is sent."""
    with socket.create_connection(("localhost", host.port), timeout=DEADLINE) as client:
        client.sendall(b"POST /api/collect HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        for word in (b"one", b"two"):
            client.sendall(b"3\r\n%b\r\n" % word)
            assert host.get("/api/next").body == word
        client.sendall(b"0\r\n\r\n")
        host.get("/api/next")  # the piece without any bytes that ends a request
        received = b""
        while not received.endswith(b"all of it"):
            received += client.recv(1000)
    assert received.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_body_of_any_kind_arrives_whole_with_what_the_client_said(host: RunningHost) -> None:
    body = b"x" * 3_000_000
    for sent in (body, iter([body[:1_000_000], body[1_000_000:]])):
        connection = http.client.HTTPConnection("localhost", host.port, timeout=DEADLINE)
        headers = {"TE": "trailers", "X-MS-Invocation-Id": "of another"}
        connection.request("POST", "/api/count?q=a%2Fb", sent, headers)
        found = json.loads(connection.getresponse().read())
        assert found == {
            "size": 3_000_000,
            "query": "a/b",
            "host": f"localhost:{host.port}",
            "id": True,
            "hop": None,
        }


def test_a_body_that_nobody_reads_does_no_harm(host: RunningHost) -> None:
    connection = http.client.HTTPConnection("localhost", host.port, timeout=DEADLINE)
    for _ in range(2):
        connection.request("POST", "/api/ignores", b"x" * 10_000)
        assert connection.getresponse().read() == b"read nothing"


def test_a_client_that_leaves_ends_the_answer(host: RunningHost) -> None:
    ended = host.console.count("the generator has ended")
    answer = _begin(host, "/api/ticks")
    host.get("/api/step/one")
    assert answer.readline() == b"data: one\n"
    answer.close()
    host.wait_for(r"the generator has ended", count=ended + 1)


def test_a_client_that_leaves_cancels_the_function(host: RunningHost) -> None:
    with socket.create_connection(("localhost", host.port), timeout=DEADLINE) as client:
        client.sendall(b"GET /api/waits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        host.wait_for("it waits")
    host.wait_for("it was cancelled")
    host.wait_for(r"Executed 'Functions.waits' \(Failed")


def test_a_failure_is_told_as_ever(host: RunningHost) -> None:
    answer = host.get("/api/fails")
    assert answer.status == 500
    assert answer.text.startswith("ValueError: no\n")
    assert "ASGI" not in host.console


def test_an_answer_that_breaks_off_is_seen_to(host: RunningHost) -> None:
    answer = _begin(host, "/api/breaks")
    with pytest.raises(http.client.IncompleteRead) as broken:
        answer.read()
    assert broken.value.partial == b"some"


def test_sync_functions_and_hooks_take_part(host: RunningHost) -> None:
    assert host.get("/api/sync").text == '"sync"'


def test_workers_are_told_apart(tmp_path: Path) -> None:
    """Each has a web server of its own."""
    app = (
        APP + "\nimport os\n@app.route(route='pid')\nasync def pid(req: Request) -> str:\n    return str(os.getpid())\n"
    )
    folder = write_app(tmp_path / "app", {"function_app.py": app})
    with running_host(folder, environ={"FUNCTIONS_WORKER_PROCESS_COUNT": "2"}) as host:
        host.wait_for("Worker process started and initialized", count=2)
        assert len({host.get("/api/pid").text for _ in range(10)}) == 2
