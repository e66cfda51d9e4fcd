"""A recording tells which hooks were called, and with what."""

from __future__ import annotations

import azure.functions as func
import pytest

from worker_ext.testing import FunctionAppClient, RecordingExtension, make_context

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("hello")
def hello(req):
    return "Hello"


@app.route("other")
async def other(req):
    raise ValueError


def test_every_call_of_a_hook_is_recorded():
    recording = RecordingExtension()
    with FunctionAppClient(app, extensions=[recording]) as client:
        assert recording.hooks == ["post_function_load_app_level"] * 2
        recording.clear()
        response = client.get("/api/hello")
    before, after = recording.calls
    assert (before.hook, before.function) == ("pre_invocation_app_level", "hello")
    assert before.invocation_id == response.invocation_id
    assert before.arguments["req"].method == "GET"
    assert (after.hook, after.result) == ("post_invocation_app_level", "Hello")


def test_at_function_level():
    recording = RecordingExtension("hello")
    with FunctionAppClient(app, extensions=[recording]) as client:
        client.get("/api/hello")
        client.get("/api/other")
    assert recording.hooks == ["post_function_load", "pre_invocation", "post_invocation"]
    assert {call.function for call in recording.calls} == {"hello"}


def test_a_hook_can_be_told_to_fail():
    recording = RecordingExtension(errors={"pre_invocation_app_level": OSError("disk full")})
    with FunctionAppClient(app, extensions=[recording]) as client:
        response = client.get("/api/hello")
    assert response.text == "Hello"
    assert any("disk full" in message for message in response.messages)
    assert recording.hooks[-2:] == ["pre_invocation_app_level", "post_invocation_app_level"]


@pytest.mark.parametrize("name", ["HttpTrigger", "other"])
def test_contexts_for_calling_hooks_directly(name):
    context = make_context(name)
    assert context.function_name == name
    assert context.invocation_id != make_context(name).invocation_id
    assert context.trace_context.trace_parent.startswith("00-")
    assert make_context(trace_parent="00-1-2-01").trace_context.trace_parent == "00-1-2-01"
