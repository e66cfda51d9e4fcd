"""A client calls an app as a host would, and tells what became of it."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import azure.functions as func
import pytest
from support.hosting import wait_until

from worker_ext import ConfigurationError, IndexingError
from worker_ext.testing import AsyncFunctionAppClient, Clock, FunctionAppClient, RecordingExtension, Retry

APP = """
import asyncio, json, logging, os, sys, threading
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("echo/{name?}", methods=["GET", "POST"])
def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    told = {"method": req.method, "url": req.url, "params": dict(req.params), "name": req.route_params.get("name"),
            "headers": dict(req.headers), "body": req.get_body().decode(), "function": context.function_name}
    return func.HttpResponse(json.dumps(told), mimetype="application/json", headers={"X-One": "1"})


@app.route("echo", methods=["PUT", "PATCH", "DELETE"])
async def verb(req: func.HttpRequest) -> str:
    await asyncio.sleep(0)
    return req.method


@app.route("talk")
def talk(req):
    print("printed")
    logging.getLogger("library").warning("logged")
    thread = threading.Thread(target=print, args=("from a thread",))
    thread.start()
    thread.join()
    print("for the error stream", file=sys.stderr)


@app.route("fail")
def fail(req):
    raise LookupError("nothing there")


@app.route("leave")
async def leave(req):
    raise SystemExit(3)


@app.route("wrong")
def wrong(req):
    return 42


@app.route("setting")
def setting(req):
    return os.environ.get("GREETING", "none")


@app.timer_trigger("timer", schedule="0 */5 * * * *")
def Tick(timer: func.TimerRequest):
    print("late" if timer.past_due else "on time")


@app.queue_trigger("msg", queue_name="in", connection="C")
@app.queue_output("out", queue_name="out", connection="C")
@app.blob_input("text", path="texts/{id}", connection="C")
def relay(msg: func.QueueMessage, text: str, out: func.Out[str]) -> None:
    out.set(f"{msg.get_body().decode()} {msg.dequeue_count} {text}")


@app.queue_trigger("msg", queue_name="in", connection="C")
async def kind(msg: func.QueueMessage):
    print(type(msg).__name__, msg.get_body())


@app.blob_trigger("blob", path="in/{name}", connection="C")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:00:01")
def measure(blob: func.InputStream, context: func.Context):
    print(len(blob.read()), context.retry_context.retry_count, context.retry_context.max_retry_count)
"""


@pytest.fixture
def app(function_app_folder):
    return function_app_folder({"function_app.py": APP})


@pytest.fixture
def client(app, function_app_client):
    return function_app_client(app)


class TestRequests:
    def test_reach_the_function_that_has_the_route(self, client):
        response = client.get("/api/echo/Ada?a=1&a=2", params={"b": ["x", "y"]}, headers={"X-Mine": "yes"})
        assert (response.status_code, response.function, response.is_success) == (200, "echo", True)
        told = response.json()
        assert told["name"] == "Ada"
        assert told["params"] == {"a": "1,2", "b": "x,y"}
        assert told["url"] == "http://localhost:7071/api/echo/Ada?a=1&a=2&b=x&b=y"
        assert told["headers"]["x-mine"] == "yes"
        assert told["headers"]["host"] == "localhost:7071"
        assert response.headers["x-ONE"] == "1"
        assert response.headers["content-type"] == "application/json"

    @pytest.mark.parametrize("verb", ["put", "patch", "delete"])
    def test_have_their_verbs(self, client, verb):
        assert getattr(client, verb)("/api/echo").text == verb.upper()

    @pytest.mark.parametrize(
        ("body", "sent", "kind"),
        [
            ({"content": "héllo"}, "héllo", "text/plain; charset=utf-8"),
            ({"content": b"bytes"}, "bytes", None),
            ({"json": {"a": [1]}}, '{"a": [1]}', "application/json"),
            ({"data": {"a": "1 2", "b": ["x", "y"]}}, "a=1+2&b=x&b=y", "application/x-www-form-urlencoded"),
            ({"json": {}, "headers": {"Content-Type": "application/problem+json"}}, "{}", "application/problem+json"),
        ],
    )
    def test_have_a_body(self, client, body, sent, kind):
        told = client.post("/api/echo", **body).json()
        assert told["body"] == sent
        assert told["headers"].get("content-type") == kind

    def test_have_one_body_only(self, client):
        with pytest.raises(ConfigurationError, match="one body"):
            client.post("/api/echo", content="a", json=1)

    @pytest.mark.parametrize(("method", "path"), [("GET", "/api/nothing"), ("GET", "/echo"), ("POST", "/api/echo/a/b")])
    def test_to_no_function_are_not_found(self, client, method, path):
        response = client.request(method, path)
        assert (response.status_code, response.function, response.error) == (404, "", None)
        assert "none has that route" in repr(response)

    def test_follow_the_route_prefix_of_host_json(self, function_app_folder, function_app_client):
        files = {"function_app.py": APP, "host.json": {"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}}
        client = function_app_client(function_app_folder(files))
        assert client.get("/echo").status_code == 200
        assert client.get("/api/echo").status_code == 404

    def test_of_a_function_that_returns_nothing(self, client):
        response = client.get("/api/talk")
        assert (response.status_code, response.content, response.value) == (204, b"", None)

    def test_may_come_from_several_threads(self, client):
        together = threading.Barrier(5)
        found = []

        def call(number):
            together.wait()
            found.append(client.get(f"/api/echo/{number}").json()["name"])

        threads = [threading.Thread(target=call, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == ["0", "1", "2", "3", "4"]


class TestFailures:
    def test_are_answered_as_the_host_does_and_the_error_is_there(self, client):
        response = client.get("/api/fail")
        assert response.status_code == 500
        assert isinstance(response.error, LookupError)
        assert not response.succeeded
        assert "function_app.py" in response.text
        assert "LookupError: nothing there" in response.text
        assert "worker_ext" not in response.text
        with pytest.raises(LookupError, match="nothing there"):
            response.raise_for_status()

    def test_system_exit_ends_only_the_invocation(self, client):
        response = client.get("/api/leave")
        assert isinstance(response.error, SystemExit)
        assert client.get("/api/setting").text == "none"

    def test_a_value_that_cannot_be_sent(self, client):
        response = client.get("/api/wrong")
        assert response.value == 42
        assert isinstance(response.error, TypeError)
        assert "HttpResponse" in str(response.error)

    def test_raise_for_status_of_an_answer_that_is_no_error(self, client):
        response = client.get("/api/setting")
        assert response.raise_for_status() is response
        with pytest.raises(AssertionError, match="404"):
            client.get("/api/nothing").raise_for_status()


class TestLogs:
    def test_are_what_the_invocation_wrote_in_order(self, client):
        response = client.get("/api/talk")
        assert response.messages == ["printed", "logged", "from a thread", "for the error stream"]
        assert [line.name for line in response.logs] == ["", "library", "", ""]

    def test_go_where_they_went_without_a_client(self, client, capsys, caplog):
        client.get("/api/talk")
        captured = capsys.readouterr()
        assert captured.out == "printed\nfrom a thread\n"
        assert captured.err == "for the error stream\n"
        assert caplog.messages == ["logged"]


class TestInvoke:
    @pytest.mark.parametrize(("value", "body"), [("text", "text"), (b"bytes", "bytes"), ({"a": 1}, '{"a": 1}')])
    def test_values_come_as_the_host_would_send_them(self, client, value, body):
        result = client.invoke("relay", msg=value, text="blob", metadata={"DequeueCount": 4})
        assert result.error is None
        assert result.outputs == {"out": f"{body} 4 blob"}

    def test_other_objects_come_as_they_are(self, client):
        class Double:
            dequeue_count = 7

            def get_body(self):
                return b"double"

        assert client.invoke("kind", msg=Double()).messages == ["Double b'double'"]
        assert client.invoke("kind", msg=func.QueueMessage(body="real")).messages == ["QueueMessage b'real'"]

    def test_a_request_can_be_given(self, client):
        request = func.HttpRequest("GET", "http://host/x", body=b"", route_params={"name": "Zoë"})
        assert '"name": "Zo' in client.invoke("echo", req=request).value.get_body().decode()

    def test_retries_are_seen_by_the_function(self, client):
        assert client.invoke("measure", blob=b"12345", retry=Retry(2, 3)).messages == ["5 2 3"]

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda client: client.invoke("rely"), "no function 'rely'\n  Did you mean 'relay'"),
            (lambda client: client.invoke("relay", mgs=""), "relay has no input 'mgs'\n  It has: msg, text"),
            (lambda client: client.invoke("echo", req="x"), "echo is started by an HTTP request"),
            (lambda client: client.trigger("echo"), "echo is started by an HTTP request"),
            (lambda client: client.trigger("relay"), "a queueTrigger gives data"),
        ],
    )
    def test_mistakes_are_explained(self, client, call, message):
        with pytest.raises(ConfigurationError) as raised:
            call(client)
        assert message in str(raised.value)


class TestTrigger:
    def test_a_timer_needs_no_data(self, client):
        assert client.trigger("Tick").messages == ["on time"]
        assert client.trigger("tick", past_due=True).messages == ["late"]

    def test_others_are_given_theirs(self, client):
        assert client.trigger("relay", "hello", text="blob").outputs == {"out": "hello 1 blob"}


class TestTime:
    """The timer of the app is due every five minutes."""

    @pytest.fixture
    def client(self, app, function_app_client):
        return function_app_client(app, clock=datetime(2030, 1, 1, 12, 0, 0))

    def test_a_timer_is_late_if_its_time_has_passed(self, client):
        assert client.trigger("Tick").messages == ["on time"]
        client.clock.advance(minutes=5)
        assert client.trigger("Tick").messages == ["on time"]
        client.clock.advance(minutes=5, seconds=1)
        assert client.trigger("Tick").messages == ["late"]
        assert client.trigger("Tick").messages == ["on time"]

    def test_timers_run_while_time_passes(self, client):
        assert client.advance(minutes=4, seconds=59) == []
        results = client.advance(minutes=11)
        assert [(result.function, result.messages) for result in results] == [("Tick", ["on time"])] * 3
        assert client.clock.now() == datetime(2030, 1, 1, 12, 15, 59, tzinfo=UTC)

    def test_those_that_have_been_missed_run_once_and_are_late(self, client):
        client.clock.advance(days=1)
        assert [result.messages for result in client.advance(minutes=5)] == [["late"], ["on time"]]

    def test_in_the_time_zone_of_the_settings_and_with_a_schedule_from_there(self, function_app_folder):
        source = APP.replace("0 */5 * * * *", "%WHEN%")
        settings = {"WHEN": "0 0 6 * * *", "WEBSITE_TIME_ZONE": "America/New_York"}
        folder = function_app_folder({"function_app.py": source})
        with FunctionAppClient(folder, settings=settings, clock=datetime(2030, 1, 1, 10, 0)) as client:
            assert client.advance(minutes=59) == []
            assert len(client.advance(minutes=1)) == 1


def test_the_timeline_tells_what_ran_for_an_invocation(app, function_app_client):
    recording = RecordingExtension()
    client = function_app_client(app, extensions=[recording])
    response = client.get("/api/fail")
    told = {entry.name: entry for entry in response.timeline}
    assert list(told)[:2] == ["pre_invocation_app_level", "around_invocation_app_level"]
    assert told["pre_invocation_app_level"].extension == "RecordingExtension"
    assert "LookupError" in told["fail"].error
    assert all(entry.duration >= 0 for entry in response.timeline)


class TestSettings:
    def test_are_the_clients(self, app, monkeypatch):
        monkeypatch.setenv("GREETING", "outside")
        with FunctionAppClient(app, settings={"GREETING": "Hello"}) as client:
            assert client.get("/api/setting").text == "Hello"
            assert os.environ["GREETING"] == "Hello"
        assert os.environ["GREETING"] == "outside"

    def test_of_the_environment_are_seen_when_they_change(self, client, monkeypatch):
        monkeypatch.setenv("GREETING", "later")
        assert client.get("/api/setting").text == "later"


class TestSources:
    def test_an_app_object(self, function_app_client):
        app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

        @app.route("hello")
        def hello(req):
            return "Hello"

        for _ in range(2):  # the SDK would not list its functions twice
            assert function_app_client(app).get("/api/hello").text == "Hello"

    def test_a_module(self, app, function_app_client):
        module = ModuleType("some_app")
        module.__file__ = str(app / "function_app.py")
        exec(compile(APP, module.__file__, "exec"), module.__dict__)
        assert function_app_client(module).get("/api/echo").status_code == 200

    def test_a_folder_of_the_v1_model(self, function_app_folder, function_app_client):
        trigger = {"type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "anonymous"}
        folder = function_app_folder(
            {
                "Hello/function.json": {"bindings": [trigger, {"type": "http", "direction": "out", "name": "$return"}]},
                "Hello/__init__.py": "from ..shared import greeting\ndef main(req): return greeting",
                "shared.py": "greeting = 'Hello'",
            }
        )
        assert function_app_client(str(folder)).get("/api/hello").text == "Hello"

    @pytest.mark.parametrize("source", [42, object(), func.Blueprint()])
    def test_no_app(self, source):
        with pytest.raises(ConfigurationError, match="no function app"):
            FunctionAppClient(source)

    def test_no_folder(self, tmp_path):
        with pytest.raises(ConfigurationError, match="there is no such folder"):
            FunctionAppClient(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("source", "message"),
        [
            ("import nothing_of_that_name", "ModuleNotFoundError"),
            ("import azure.functions as f\napp = f.FunctionApp()", "no functions found"),
            (
                "import azure.functions as f\napp = f.FunctionApp()\n@app.route('a')\ndef a(x): ...",
                "declared in Python",
            ),
        ],
    )
    def test_an_app_that_cannot_be_loaded_leaves_nothing(self, function_app_folder, source, message):
        folder = function_app_folder({"function_app.py": source})
        before = dict(os.environ), list(sys.path)
        threads = threading.active_count()
        with pytest.raises(IndexingError) as raised, FunctionAppClient(folder):
            pass
        assert message in str(raised.value)
        assert str(folder / "function_app.py") in str(raised.value)
        assert before == (dict(os.environ), list(sys.path))
        files = [getattr(module, "__file__", None) for module in sys.modules.values()]
        assert not [file for file in files if file and Path(file).is_relative_to(folder)]
        wait_until(lambda: threading.active_count() <= threads, "the end of the client's threads")


class TestAsync:
    def test_functions_run_on_the_tests_own_loop(self, function_app_folder):
        source = """
import asyncio, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
gate = asyncio.Event()

@app.route("wait")
async def wait(req):
    await gate.wait()
    return "opened"

@app.route("open")
async def open(req):
    gate.set()
    return str(id(asyncio.get_running_loop()))
"""

        async def main():
            async with AsyncFunctionAppClient(function_app_folder({"function_app.py": source})) as client:
                waiting = asyncio.create_task(client.get("/api/wait"))
                assert (await client.get("/api/open")).text == str(id(asyncio.get_running_loop()))
                assert (await waiting).text == "opened"

        asyncio.run(main())

    def test_all_calls_are_awaited(self, app):
        async def main():
            async with AsyncFunctionAppClient(app) as client:
                assert (await client.post("/api/echo", json=1)).json()["body"] == "1"
                assert (await client.trigger("Tick")).messages == ["on time"]
                assert (await client.invoke("kind", msg="m")).messages == ["QueueMessage b'm'"]
                with pytest.raises(ConfigurationError):
                    await client.invoke("nothing")

        asyncio.run(main())

    def test_timers_run_while_time_passes(self, app):
        async def main():
            async with AsyncFunctionAppClient(app) as client:
                assert len(await client.advance(minutes=10)) == 2

        asyncio.run(main())

    def test_a_call_that_the_test_gives_up_on_is_cancelled(self, function_app_folder):
        source = """
import asyncio, azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
ended = []

@app.route("hang")
async def hang(req):
    try:
        await asyncio.Event().wait()
    finally:
        ended.append(1)
"""

        async def main():
            async with AsyncFunctionAppClient(function_app_folder({"function_app.py": source})) as client:
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(client.get("/api/hang"), 0.05)
                assert sys.modules["function_app"].ended == [1]

        asyncio.run(main())


def test_a_clock_goes_only_when_it_is_told():
    clock = Clock(datetime(2030, 1, 1))
    assert clock.now() == datetime(2030, 1, 1, tzinfo=UTC)
    assert clock.advance(hours=1, minutes=30) == clock.now() == datetime(2030, 1, 1, 1, 30, tzinfo=UTC)
    clock.set(datetime(2031, 1, 1))
    assert clock.now().year == 2031


def test_a_client_that_is_not_in_a_with_block_opens_when_it_is_called(app: Path):
    client = FunctionAppClient(app)
    assert client.get("/api/setting").text == "none"
    client.close()
    client.close()
    assert "function_app" not in sys.modules
