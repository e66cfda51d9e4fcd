"""A recording tells which hooks were called, and with what."""

from __future__ import annotations

import azure.functions as func
import pytest

from worker_ext.testing import FunctionAppClient, RecordingExtension, make_context

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("hello")
def hello(req):
    return "Hello"


@app.route("log")
def log(req):
    print("a line")


@app.route("other")
async def other(req):
    raise ValueError


def test_every_call_of_a_hook_is_recorded():
    recording = RecordingExtension()
    with FunctionAppClient(app, extensions=[recording]) as client:
        assert recording.hooks == [*["post_function_load_app_level"] * 3, "on_startup"]
        recording.clear()
        response = client.get("/api/hello")
        before, around, after = recording.calls
        recording.clear()
        client.get("/api/other")
        failed = recording.calls[-1]
    assert recording.hooks[-1] == "on_shutdown"
    assert around.hook == "around_invocation_app_level"
    assert failed.hook == "on_invocation_error_app_level"
    assert isinstance(failed.error, ValueError)
    assert (before.hook, before.function) == ("pre_invocation_app_level", "hello")
    assert before.invocation_id == response.invocation_id
    assert before.arguments["req"].method == "GET"
    assert (after.hook, after.result) == ("post_invocation_app_level", "Hello")


def test_at_function_level():
    recording = RecordingExtension("hello")
    with FunctionAppClient(app, extensions=[recording]) as client:
        client.get("/api/hello")
        client.get("/api/other")
    assert recording.hooks == [
        "post_function_load",
        "on_startup",
        "pre_invocation",
        "around_invocation",
        "post_invocation",
        "on_shutdown",
    ]
    assert {call.function for call in recording.calls} == {"hello", ""}


def test_lines_that_are_logged_if_it_is_told_so():
    recording = RecordingExtension(logs=True)
    with FunctionAppClient(app, extensions=[recording]) as client:
        client.get("/api/hello")
    assert "on_log" not in recording.hooks  # nothing was logged
    with FunctionAppClient(app, extensions=[recording]) as client:
        client.get("/api/log")
    assert [call.arguments["record"].message for call in recording.calls if call.hook == "on_log"] == ["a line"]


def test_a_hook_can_be_told_to_fail():
    recording = RecordingExtension(errors={"pre_invocation_app_level": OSError("disk full")})
    with FunctionAppClient(app, extensions=[recording]) as client:
        response = client.get("/api/hello")
    assert response.text == "Hello"
    assert any("disk full" in message for message in response.messages)
    assert recording.hooks[-2:] == ["post_invocation_app_level", "on_shutdown"]


@pytest.mark.parametrize("name", ["HttpTrigger", "other"])
def test_contexts_for_calling_hooks_directly(name):
    context = make_context(name)
    assert context.function_name == name
    assert context.invocation_id != make_context(name).invocation_id
    assert context.trace_context.trace_parent.startswith("00-")
    assert make_context(trace_parent="00-1-2-01").trace_context.trace_parent == "00-1-2-01"
