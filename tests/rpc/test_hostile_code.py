"""Apps that get in their worker's way: each request is answered all the same, or the worker ends and says why."""

from __future__ import annotations

import sys

import pytest
from support.hosting import write_app

from worker_ext.testing.rpc_host import RpcHost, WorkerGone, messages

SUCCESS, FAILURE = messages.StatusResult.Success, messages.StatusResult.Failure

APP = """
import asyncio, os, sys
import azure.functions as func

app = func.FunctionApp()

@app.route(route="well")
def well(req: func.HttpRequest) -> str:
    return "well"

@app.route(route="cancels")
async def cancels(req: func.HttpRequest) -> str:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    return "cancelled"

@app.route(route="profiled")
def profiled(req: func.HttpRequest) -> str:
    sys.settrace(lambda *event: 1 / 0)
    sys.setprofile(lambda *event: 1 / 0)
    return "profiled"

@app.route(route="closes")
def closes(req: func.HttpRequest) -> str:
    os.closerange(3, 256)
    return "closed"

@app.route(route="acloses")
async def acloses(req: func.HttpRequest) -> str:
    os.closerange(3, 256)
    return "closed"

@app.route(route="surrogate")
def surrogate(req: func.HttpRequest) -> str:
    return "\\ud800"
"""

V1_BINDINGS = {
    "req": messages.BindingInfo(type="httpTrigger"),
    "$return": messages.BindingInfo(type="http", direction=messages.BindingInfo.out),
}


def v1_function(host, name="f", script="__init__.py"):
    """What a host tells of a v1 function."""
    folder = host.folder / name
    return messages.RpcFunctionMetadata(
        name=name, function_id=f"id of {name}", directory=str(folder), script_file=script, bindings=V1_BINDINGS
    )


@pytest.fixture
def host(make_host):
    return make_host({"function_app.py": APP})


def test_a_function_that_cancels_all_tasks_leaves_the_worker_alone(host):
    assert host.http("cancels").return_value.string == "cancelled"
    assert host.http("well").return_value.string == "well"
    assert host.terminate() == 0


def test_an_error_that_strikes_a_thread_outside_of_the_function_is_the_invocation_s(host):
    assert "ZeroDivisionError" in host.http("profiled").result.exception.message
    assert host.http("well").return_value.string == "well"


@pytest.mark.skipif(sys.platform == "win32", reason="sockets are no file descriptors there")
@pytest.mark.parametrize("function", ["closes", "acloses"])
def test_a_worker_whose_descriptors_have_been_closed_ends_and_says_why(tmp_path, function):
    with RpcHost(write_app(tmp_path, {"function_app.py": APP})) as host:
        host.start()
        with pytest.raises(WorkerGone):
            host.http(function)
        assert host.process.wait(host.deadline) == 1
    assert any("closed file descriptors that its worker needs" in line for line in host.printed)


def test_text_that_no_message_can_carry_is_told_as_the_function_s(host):
    assert "the function gave text that cannot be sent" in host.http("surrogate").result.exception.message


@pytest.mark.parametrize("raised", ["RuntimeError('odd')", "SystemExit(3)"])
def test_a_module_that_raises_when_it_is_looked_into_is_told_for_its_function(make_host, raised):
    host = make_host(
        {
            "f/__init__.py": f"def __getattr__(name):\n    raise {raised}\n",
            "g/__init__.py": "def main(req): return 'g'",
        },
        loads=False,
    )
    host.wait_for_stream()
    host.initialise()
    requests = [
        messages.FunctionLoadRequest(function_id=function.function_id, metadata=function)
        for function in (v1_function(host, "f"), v1_function(host, "g"))
    ]
    collection = messages.FunctionLoadRequestCollection(function_load_requests=requests)
    loaded = host.request("function_load_response_collection", function_load_request_collection=collection)
    failed, well = loaded.function_load_responses
    assert (failed.function_id, failed.result.status) == ("id of f", FAILURE)
    assert "__init__.py:2: " + raised.partition("(")[0] in failed.result.exception.message
    assert (well.function_id, well.result.status) == ("id of g", SUCCESS)


def test_a_signature_that_cannot_be_read_is_one_function_s_problem(make_host):
    source = APP + (
        "\nclass Odd:\n    __name__ = 'odd'\n    __signature__ = 3\n    def __call__(self, req): ...\n"
        "app.function_name('odd')(app.route('odd')(Odd()))\n"
    )
    host = make_host({"function_app.py": source})
    told = {function.name: function.status for function in host.metadata().function_metadata_results}
    assert "its signature cannot be read: unexpected object 3" in told["odd"].exception.message
    assert host.http("well").return_value.string == "well"


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ('strategy="fixed_delay", max_retry_count="3", delay_interval="5"', "the delay_interval '5'"),
        ('strategy="fixed_delay", max_retry_count="many", delay_interval="00:00:05"', "the max_retry_count 'many'"),
        ('strategy="at_once", max_retry_count="3"', "the strategy 'at_once'"),
    ],
)
def test_a_wrong_retry_policy_is_one_function_s_problem(make_host, policy, message):
    source = f"""{APP}
@app.timer_trigger(arg_name="timer", schedule="0 0 * * * *")
@app.retry({policy})
def tick(timer: func.TimerRequest) -> None: ...
"""
    host = make_host({"function_app.py": source})
    told = {function.name: function.status for function in host.metadata().function_metadata_results}
    assert told["tick"].status == FAILURE
    assert "the function tick cannot be loaded: its retry policy has " + message in told["tick"].exception.message
    assert host.http("well").return_value.string == "well"


def test_a_script_is_found_by_a_path_with_detours_and_not_outside_of_the_app(make_host, tmp_path_factory):
    host = make_host({"shared/code.py": "def main(req): return 'shared'\n", "f/function.json": {}}, loads=False)
    host.wait_for_stream()
    host.initialise()
    assert host.load(v1_function(host, script="../f/../shared/code.py")).result.status == SUCCESS
    assert host.http("f").return_value.string == "shared"
    outside = tmp_path_factory.mktemp("outside") / "code.py"
    outside.write_text("def main(req): return 'outside'\n")
    told = v1_function(host, name="g", script=f"../../{outside.parent.name}/code.py")
    assert "no Python file in the app's folder" in host.load(told).result.exception.message
