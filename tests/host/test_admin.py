"""The admin API, as tools that know the Functions host use it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import Response, RunningHost, running_host, wait_until, write_app

APP = """
import asyncio, logging, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="items/{id:int?}", methods=["GET", "POST"])
def Items(req):
    logging.info("body %r as %s", req.get_body().decode(), req.headers.get("content-type"))
    return "ok"

@app.timer_trigger(arg_name="timer", schedule="0 0 4 1 1 *")
def Nightly(timer: func.TimerRequest):
    logging.info("past due: %s", timer.past_due)

@app.service_bus_queue_trigger(arg_name="message", queue_name="orders", connection="bus")
def Ordered(message: func.ServiceBusMessage):
    logging.info("message %r", message.get_body().decode())

@app.event_grid_trigger(arg_name="event")
def Noticed(event: func.EventGridEvent):
    logging.info("event %s of %s: %s", event.id, event.subject, event.get_json())

@app.route(route="slow")
async def Slow(req):
    logging.info("begun")
    while not globals().get("released"):
        await asyncio.sleep(0.01)
    return "done"

@app.route(route="release")
async def Release(req):
    globals()["released"] = True

@app.route(route="{broken")
def Broken(req):
    return "never"
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    with running_host(write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})) as host:
        yield host


def post(host: RunningHost, path: str, document: Any = None) -> Response:
    return host.request("POST", path, json.dumps(document), {"content-type": "application/json"})


class TestRunByHand:
    """``POST /admin/functions/NAME {"input": …}`` runs a function whatever its trigger is."""

    @pytest.mark.parametrize(
        ("name", "value", "logged"),
        [
            ("Nightly", "", "past due: False"),
            ("Ordered", "two teas", "message 'two teas'"),
            ("Ordered", {"tea": 2}, """message '{"tea": 2}'"""),
            ("Items", "some text", "body 'some text' as text/plain; charset=utf-8"),
            ("Items", {"id": 7}, """body '{"id": 7}' as application/json"""),
            ("iTEMS", "in any case", "body 'in any case'"),
        ],
    )
    def test_gives_the_function_what_its_trigger_would(
        self, host: RunningHost, name: str, value: Any, logged: str
    ) -> None:
        seen = len(host.lines)
        answer = post(host, f"/admin/functions/{name}", {"input": value})
        assert (answer.status, answer.body) == (202, b"")
        host.wait_for(logged, since=seen)
        host.wait_for(rf"Executed 'Functions.(?i:{name})' \(Succeeded", since=seen)

    def test_takes_events_as_json(self, host: RunningHost) -> None:
        seen = len(host.lines)
        event = {
            "id": "e1", "topic": "t", "subject": "s1", "eventType": "x", "eventTime": "2026-01-01T00:00:00Z",
            "dataVersion": "1", "data": {"a": 1},
        }  # fmt: skip
        assert post(host, "/admin/functions/Noticed", {"input": event}).status == 202
        host.wait_for("event e1 of s1: {'a': 1}", since=seen)

    def test_answers_before_the_function_has_ended(self, host: RunningHost) -> None:
        seen = len(host.lines)
        assert post(host, "/admin/functions/Slow", {"input": ""}).status == 202
        host.wait_for("begun", since=seen)
        assert host.get("/api/release").status == 204
        host.wait_for(r"Executed 'Functions.Slow' \(Succeeded", since=seen)

    @pytest.mark.parametrize("body", [b"", b"no json", b"[]", b'"text"', b"\xff", b"[" * 100_000])
    def test_needs_a_json_object(self, host: RunningHost, body: bytes) -> None:
        answer = host.request("POST", "/admin/functions/Nightly", body)
        assert (answer.status, answer.text) == (400, 'The body must be a JSON object: {"input": …}.\n')

    def test_of_what_is_not_there(self, host: RunningHost) -> None:
        assert post(host, "/admin/functions/Nothing", {"input": ""}).status == 404


class TestFunctions:
    """What the host says about functions."""

    def test_lists_them(self, host: RunningHost) -> None:
        listed = {function["name"]: function for function in host.get("/admin/functions").json()}
        assert set(listed) == {"Items", "Nightly", "Ordered", "Noticed", "Slow", "Release"}
        base = f"http://localhost:{host.port}"
        assert listed["Items"]["invoke_url_template"] == f"{base}/api/items/{{id:int?}}"
        assert listed["Items"]["href"] == f"{base}/admin/functions/Items"
        assert listed["Nightly"]["invoke_url_template"] is None
        [binding] = listed["Nightly"]["config"]["bindings"]
        assert (binding["type"], binding["schedule"]) == ("timerTrigger", "0 0 4 1 1 *")
        assert listed["Nightly"]["config"]["scriptFile"].endswith("function_app.py")

    def test_shows_one(self, host: RunningHost) -> None:
        assert host.get("/admin/functions/nightly").json()["name"] == "Nightly"
        assert host.get("/admin/functions/Nothing").status == 404

    def test_tells_what_is_wrong_with_one(self, host: RunningHost) -> None:
        assert host.get("/admin/functions/Items/status").json() == {}
        [error] = host.get("/admin/functions/broken/status").json()["errors"]
        assert "{broken" in error
        assert host.get("/admin/functions/Nothing/status").status == 404


class TestHost:
    """What the host says about itself."""

    def test_tells_its_status(self, host: RunningHost) -> None:
        answer = host.get("/admin/host/status")
        status = answer.json()
        assert answer.status == 200
        assert status["state"] == "Running"
        assert status["processUptime"] > 0
        assert "errors" not in status

    @pytest.mark.parametrize("method", ["GET", "POST"])
    def test_answers_a_ping(self, host: RunningHost, method: str) -> None:
        answer = host.request(method, "/admin/host/ping")
        assert (answer.status, answer.body) == (200, b"")

    def test_paths_in_any_case_and_with_a_slash_at_the_end(self, host: RunningHost) -> None:
        assert host.get("/ADMIN/Host/Status/").status == 200

    @pytest.mark.parametrize(("method", "path"), [("DELETE", "/admin/functions/Items"), ("GET", "/admin/host/drain")])
    def test_other_methods(self, host: RunningHost, method: str, path: str) -> None:
        assert host.request(method, path).status == 405

    def test_drains_and_resumes(self, host: RunningHost) -> None:
        def drain() -> dict[str, Any]:
            return host.get("/admin/host/drain/status").json()  # type: ignore[no-any-return]

        assert drain()["state"] == "Disabled"
        assert host.request("POST", "/admin/host/drain").status == 202
        done = {"state": "Completed", "outstandingInvocations": 0, "outstandingRetries": 0}
        wait_until(lambda: drain() == done, "the end of what was running")
        resumed = host.request("POST", "/admin/host/resume")
        assert (resumed.status, resumed.json()) == (200, {"state": "Running"})
        assert drain()["state"] == "Disabled"


TICKING = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def Tick(timer: func.TimerRequest):
    pass

@app.route(route="hello")
def Hello(req):
    return "hello"
"""


def test_draining_stops_the_triggers_until_the_host_resumes(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": TICKING})
    with running_host(folder) as host:
        host.wait_for("Executed 'Functions.Tick'")
        assert host.request("POST", "/admin/host/drain").status == 202
        wait_until(lambda: host.get("/admin/host/drain/status").json()["state"] == "Completed", "the end of the ticks")
        (folder / "function_app.py").write_text(f"{TICKING}\n# edited\n")
        host.wait_for("Functions:", count=2)  # a new edition does not begin either
        seen, until = len(host.lines), time.monotonic() + 2.5
        while time.monotonic() < until:  # in which a timer that went on would run twice
            assert host.get("/api/hello").text == "hello"
        assert "Functions.Tick" not in "\n".join(host.lines[seen:])
        assert host.request("POST", "/admin/host/resume").status == 200
        host.wait_for("Executed 'Functions.Tick'", since=seen)


def test_an_app_that_cannot_be_loaded(tmp_path: Path) -> None:
    from support.hosting import free_port

    folder = write_app(tmp_path, {"function_app.py": "1 / 0\n"})
    with running_host(folder, port=free_port(), ready="No functions are being served") as host:
        status = host.get("/admin/host/status").json()
        assert status["state"] == "Error"
        assert "ZeroDivisionError" in status["errors"][0]
        assert host.get("/admin/functions").json() == []
        assert post(host, "/admin/functions/any", {"input": ""}).status == 503
        assert host.request("POST", "/admin/host/resume").status == 409
