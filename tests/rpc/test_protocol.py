"""From a worker's start to its end: every message that is not an invocation."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid

import pytest

from worker_ext import __version__
from worker_ext.testing.rpc_host import OUR_WORKER, RpcHost, WorkerGone, messages

APP = """
import os
import azure.functions as func

app = func.FunctionApp()

@app.route(route="hello/{name?}", methods=["GET"])
def hello(req: func.HttpRequest) -> str:
    return "hello " + os.environ.get("GREETED", "nobody")

@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
@app.retry(strategy="fixed_delay", max_retry_count="3", delay_interval="00:01:30")
def tick(timer: func.TimerRequest) -> None: ...

@app.queue_trigger(arg_name="message", queue_name="things", connection="Storage")
@app.retry("exponential_backoff", "2", minimum_interval="00:00:01", maximum_interval="01:00:00")
@app.queue_output(arg_name="out", queue_name="others", connection="Storage")
def move(message: func.QueueMessage, out: func.Out[str]) -> None: ...
"""

V1 = {
    "hello/function.json": {
        "bindings": [
            {"type": "httpTrigger", "direction": "in", "name": "req"},
            {"type": "http", "direction": "out", "name": "$return"},
        ]
    },
    "hello/__init__.py": "def main(req):\n    return 'hello from v1'\n",
    "other/run.py": "from ..shared import text\nasync def start(item):\n    return text\n",
    "shared.py": "text = 'shared'\n",
}

SUCCESS, FAILURE = messages.StatusResult.Success, messages.StatusResult.Failure


@pytest.mark.parametrize("newer", [True, False], ids=["newer arguments", "older arguments"])
def test_a_worker_starts_loads_and_serves(make_host, newer):
    host = make_host({"function_app.py": APP}, newer=newer)
    assert host.http("hello").return_value.string == "hello nobody"


def test_garbage_is_collected_from_the_app_s_first_line_on(make_host):
    source = """
import gc
import azure.functions as func

app = func.FunctionApp()
WHEN_IMPORTED = gc.isenabled()

@app.route(route="collects")
def collects(req: func.HttpRequest) -> str:
    return f"{WHEN_IMPORTED} {gc.isenabled()}"
"""
    host = make_host({"function_app.py": source})
    assert host.http("collects").return_value.string == "True True"


def test_it_ignores_arguments_that_it_does_not_know(make_host):
    host = make_host({"function_app.py": APP}, command=(*OUR_WORKER, "--newer-than-this", "value", "--flag"))
    assert host.http("hello").return_value.string == "hello nobody"


def test_a_command_line_without_a_host_is_refused():
    done = subprocess.run([*OUR_WORKER, "--workerId", "x"], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "--functions-uri" in done.stderr


def test_a_host_that_is_not_there_is_told(tmp_path):
    words = ("--host", "127.0.0.1", "--port", "1", "--workerId", "w", "--requestId", "r")
    done = subprocess.run([*OUR_WORKER, *words], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert done.returncode == 1
    assert "the Functions host at 127.0.0.1:1 cannot be reached: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--functions-uri=http://127.0.0.1:99999"],
        ["--functions-uri=http://[::1"],
        ["--functions-uri=127.0.0.1:7071"],
        ["--host=127.0.0.1", "--port=99999"],
    ],
    ids=" ".join,
)
def test_an_address_that_is_none_is_refused(words):
    done = subprocess.run([*OUR_WORKER, *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("worker-ext worker: error: --")


def test_initialisation_tells_versions_and_capabilities(make_host):
    host = make_host({"function_app.py": APP}, loads=False)
    host.wait_for_stream()
    response = host.initialise()
    assert response.result.status == SUCCESS
    assert response.worker_version == __version__
    assert response.worker_metadata.runtime_name == "python"
    assert response.worker_metadata.runtime_version == f"{sys.version_info[0]}.{sys.version_info[1]}"
    for capability in ("RawHttpBodyBytes", "TypedDataCollection", "WorkerStatus", "HandlesInvocationCancelMessage"):
        assert response.capabilities[capability] == "true"
    assert "HttpUri" not in response.capabilities


def test_a_v2_app_is_described(make_host):
    host = make_host({"function_app.py": APP}, loads=False)
    host.wait_for_stream()
    host.initialise()
    response = host.metadata()
    assert not response.use_default_metadata_indexing
    told = {function.name: function for function in response.function_metadata_results}
    assert told.keys() == {"hello", "tick", "move"}
    hello = told["hello"]
    assert hello.function_id == str(uuid.uuid5(uuid.NAMESPACE_OID, "hello"))
    assert (hello.directory, hello.script_file, hello.language) == (str(host.folder), "function_app.py", "python")
    assert hello.bindings["req"].type == "httpTrigger"
    assert hello.bindings["$return"].direction == messages.BindingInfo.out
    assert '"route": "hello/{name?}"' in "".join(hello.raw_bindings)
    assert hello.properties["worker_indexed"] == "True"
    assert not hello.HasField("retry_options")
    tick = told["tick"].retry_options
    assert (tick.max_retry_count, tick.delay_interval.seconds) == (3, 90)
    assert tick.retry_strategy == messages.RpcRetryOptions.fixed_delay
    move = told["move"].retry_options
    assert (move.minimum_interval.seconds, move.maximum_interval.seconds) == (1, 3600)


def test_a_v1_app_is_left_to_the_host_and_loaded_as_it_says(make_host):
    host = make_host(V1, loads=False)
    host.wait_for_stream()
    host.initialise()
    response = host.metadata()
    assert response.use_default_metadata_indexing
    hello = messages.RpcFunctionMetadata(
        name="hello", directory=str(host.folder / "hello"), script_file=str(host.folder / "hello" / "__init__.py")
    )
    hello.bindings["req"].type = "httpTrigger"
    hello.bindings["$return"].type = "http"
    hello.bindings["$return"].direction = messages.BindingInfo.out
    assert host.load(hello).result.status == SUCCESS
    assert host.http("hello").return_value.string == "hello from v1"
    other = messages.RpcFunctionMetadata(
        name="other", directory=str(host.folder / "other"), script_file="run.py", entry_point="start"
    )
    other.bindings["item"].type = "queueTrigger"
    other.bindings["$return"].type = "queue"
    other.bindings["$return"].direction = messages.BindingInfo.out
    assert host.load(other).result.status == SUCCESS
    assert host.call("other", {"item": "x"}).return_value.string == "shared"


def test_the_host_for_tests_loads_v1_apps_by_their_files_as_well(make_host):
    queue = [
        {"type": "queueTrigger", "name": "item"},
        {"type": "queue", "name": "$return", "direction": "out", "queueName": "q", "connection": "c"},
    ]
    declared = {"scriptFile": "run.py", "entryPoint": "start", "bindings": queue}
    host = make_host({**V1, "other/function.json": declared})
    assert host.http("hello").return_value.string == "hello from v1"
    assert host.call("other", {"item": "x"}).return_value.string == "shared"


def test_a_command_that_is_none_leaves_nothing_of_the_host_for_tests_behind(tmp_path):
    before = threading.active_count()
    with pytest.raises(FileNotFoundError), RpcHost(tmp_path, ["no-such-command"]):
        pass
    assert threading.active_count() == before


def test_a_v1_function_outside_of_the_app_is_not_loaded(make_host, tmp_path_factory):
    host = make_host(V1, loads=False)
    host.wait_for_stream()
    host.initialise()
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "evil.py"
    elsewhere.write_text("raise SystemExit('imported')")
    metadata = messages.RpcFunctionMetadata(name="evil", directory=str(host.folder), script_file=str(elsewhere))
    metadata.bindings["req"].type = "httpTrigger"
    result = host.load(metadata).result
    assert result.status == FAILURE
    assert "no Python file in the app's folder" in result.exception.message


def test_an_id_that_the_host_gives_to_another_function_is_that_function_s(make_host):
    host = make_host({**V1, "again/__init__.py": "def main(req):\n    return 'again'\n"}, loads=False)
    host.wait_for_stream()
    host.initialise()
    for name, answer in {"hello": "hello from v1", "again": "again"}.items():
        metadata = messages.RpcFunctionMetadata(name=name, function_id="one", directory=str(host.folder / name))
        metadata.bindings["req"].type = "httpTrigger"
        metadata.bindings["$return"].type = "http"
        metadata.bindings["$return"].direction = messages.BindingInfo.out
        assert host.load(metadata).result.status == SUCCESS
        assert host.http("one").return_value.string == answer


def test_functions_are_loaded_together(make_host):
    host = make_host({"function_app.py": APP}, loads=False)
    host.wait_for_stream()
    assert host.initialise().capabilities["AcceptsListOfFunctionLoadRequests"] == "true"
    requests = [
        messages.FunctionLoadRequest(function_id=function.function_id, metadata=function)
        for function in host.metadata().function_metadata_results
    ]
    requests.append(messages.FunctionLoadRequest(function_id="unknown"))
    collection = messages.FunctionLoadRequestCollection(function_load_requests=requests)
    loaded = host.request("function_load_response_collection", function_load_request_collection=collection)
    statuses = {response.function_id: response.result.status for response in loaded.function_load_responses}
    assert statuses.pop("unknown") == FAILURE
    assert len(statuses) == 3
    assert set(statuses.values()) == {SUCCESS}
    assert host.http("hello").return_value.string == "hello nobody"


def test_a_second_worker_is_asked_to_load_without_having_been_asked_for_metadata(make_host):
    host = make_host({"function_app.py": APP}, loads=False)
    host.wait_for_stream()
    host.initialise()
    assert host.load(messages.RpcFunctionMetadata(name="hello", function_id="the-hosts-own")).result.status == SUCCESS
    assert host.http("the-hosts-own").return_value.string == "hello nobody"


def test_one_function_in_error_leaves_the_others(make_host):
    broken = APP + "\n@app.route(route='broken')\ndef broken(request: func.HttpRequest) -> str: ...\n"
    host = make_host({"function_app.py": broken})
    response = host.metadata()
    assert response.result.status == SUCCESS
    told = {function.name: function for function in response.function_metadata_results}
    assert told["broken"].status.status == FAILURE
    assert "'request'" in told["broken"].status.exception.message
    result = host.load(told["broken"]).result
    assert result.status == FAILURE
    assert "function_app.py:" in result.exception.message
    assert host.http("hello").return_value.string == "hello nobody"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 +", "SyntaxError"),
        ("import nowhere", "nowhere"),
        ("raise SystemExit(3)", "exit status"),
        ("", "no function app"),
    ],
)
def test_an_app_that_cannot_be_imported_is_told(make_host, source, message):
    host = make_host({"function_app.py": source}, loads=False)
    host.wait_for_stream()
    assert host.initialise().result.status == SUCCESS
    result = host.metadata().result
    assert result.status == FAILURE
    assert message in result.exception.message
    assert "function_app.py" in result.exception.message


def test_it_tells_its_status(make_host):
    host = make_host({"function_app.py": APP})
    request_id = host.send(worker_status_request=messages.WorkerStatusRequest())
    assert host.receive("worker_status_response").request_id == request_id


def test_it_warms_up_and_becomes_the_worker_of_an_app(make_host):
    host = make_host(
        {"function_app.py": APP}, loads=False, environ={"WEBSITE_PLACEHOLDER_MODE": "1", "GREETED": "the placeholder"}
    )
    host.wait_for_stream()
    host.initialise()
    warm = host.request("worker_warmup_response", worker_warmup_request=messages.WorkerWarmupRequest())
    assert warm.result.status == SUCCESS
    environ = {**os.environ, "GREETED": "the app"}
    reload = messages.FunctionEnvironmentReloadRequest(
        environment_variables=environ, function_app_directory=str(host.folder)
    )
    response = host.request("function_environment_reload_response", function_environment_reload_request=reload)
    assert response.result.status == SUCCESS
    assert response.worker_metadata.runtime_name == "python"
    for function in host.metadata().function_metadata_results:
        assert host.load(function).result.status == SUCCESS
    assert host.http("hello").return_value.string == "hello the app"


def test_messages_that_ask_for_nothing_are_ignored(make_host):
    host = make_host({"function_app.py": APP})
    host.send(worker_heartbeat=messages.WorkerHeartbeat())
    host.send(file_change_event_request=messages.FileChangeEventRequest())
    assert host.http("hello").return_value.string == "hello nobody"


WAITS = """
import asyncio
import azure.functions as func

app = func.FunctionApp()

@app.route(route="waits")
async def waits(req: func.HttpRequest) -> str:
    await asyncio.sleep(SECONDS)
    return "done"
"""

REQUEST = {"req": messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))}


def waiting(make_host, seconds, **options):
    """A host, and an invocation that takes some time."""
    host = make_host({"function_app.py": WAITS.replace("SECONDS", str(seconds))})
    return host, host.invoke("waits", REQUEST, **options)


def test_it_finishes_what_runs_when_it_is_told_to_end(make_host):
    host, running = waiting(make_host, 0.3)
    assert host.terminate() == 0
    assert running.result(host.deadline).return_value.string == "done"


def test_what_has_not_ended_when_the_worker_must_is_told(make_host):
    host, running = waiting(make_host, 3600)
    assert host.terminate(grace=0.1) == 0
    assert isinstance(running.exception(host.deadline), WorkerGone)
    assert "the host has this worker end after 0.1 s, before these functions have: waits" in host.lines()


@pytest.mark.parametrize("seconds", [2**62, -5])
def test_it_ends_whatever_time_it_is_given(make_host, seconds):
    host = make_host({"function_app.py": APP})
    request = messages.WorkerTerminate()
    request.grace_period.seconds = seconds
    host.send(worker_terminate=request)
    assert host.process.wait(host.deadline) == 0


def test_what_runs_while_its_environment_is_reloaded_can_be_cancelled_and_is_waited_for(make_host):
    host, running = waiting(make_host, 3600, invocation_id="held")
    reload = messages.FunctionEnvironmentReloadRequest(
        environment_variables=dict(os.environ), function_app_directory=str(host.folder)
    )
    response = host.request("function_environment_reload_response", function_environment_reload_request=reload)
    assert response.result.status == SUCCESS
    request = messages.WorkerTerminate()
    request.grace_period.seconds = 20
    host.send(worker_terminate=request)
    host.cancel("held")
    assert running.result(host.deadline).result.status == messages.StatusResult.Cancelled
    assert host.process.wait(host.deadline) == 0
