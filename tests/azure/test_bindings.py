"""What functions take and give besides HTTP: outputs, return values, other triggers, the context."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.hosting import write_app
from support.worker_driving import DrivenWorker, Failure, Result, driven_worker

from worker_ext.runtimes.azure.trigger_payload import Retry, encode_trigger

APP = """
import azure.functions as func
import datetime, functools, json, threading, typing

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

def queue(name="message"):
    return app.queue_output(arg_name=name, queue_name="q", connection="c")

@app.route("x")
@queue()
@queue("other")
def Outputs(req, message: func.Out[str], other: func.Out[typing.List[str]]):
    match req.params.get("set"):
        case "text": message.set("hello")
        case "list": message.set("a"); other.set(["b", "c"])
        case "wrong": message.set(object())
    return req.params.get("return")

@app.function_name("HttpOut")
@app.generic_trigger(arg_name="req", type="httpTrigger")
@app.generic_output_binding(arg_name="res", type="http")
@queue()
def http_out(req, res: func.Out[func.HttpResponse], message: func.Out[str]):
    message.set("sent")
    if "set" in req.params:
        res.set(func.HttpResponse("set", status_code=202))
    return req.params.get("return")

@app.function_name("NoResponse")
@app.generic_trigger(arg_name="req", type="httpTrigger")
def no_response(req):
    return req.params.get("return")

@app.function_name("ReturnsToQueue")
@app.generic_trigger(arg_name="req", type="httpTrigger")
@app.generic_output_binding(arg_name="$return", type="queue", queue_name="q", connection="c")
def returns_to_queue(req):
    return req.params.get("return")

@app.queue_trigger(arg_name="message", queue_name="q", connection="c")
def OnMessage(message: func.QueueMessage, context):
    seen = {"id": message.id, "body": message.get_body().decode(), "tries": message.dequeue_count}
    print(json.dumps(seen))

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def OnTimer(timer: func.TimerRequest, context: func.Context):
    retry = context.retry_context
    print(json.dumps([timer.past_due, retry.retry_count, retry.max_retry_count, retry.exception]))

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
def OnTimerReturns(timer): return "nobody wants it"

@app.function_name("Stored")
@app.blob_trigger(arg_name="blob", path="p", connection="c")
@app.blob_input(arg_name="other", path="q", connection="c")
def stored(blob: func.InputStream, other: func.InputStream):
    print(json.dumps([blob.name, blob.read().decode(), other.name, other.read().decode()]))

@app.function_name("Plain")
@app.blob_trigger(arg_name="blob", path="p", connection="c")
def plain(blob: bytes): print(json.dumps(blob.hex()))

@app.function_name("Unknown")
@app.generic_trigger(arg_name="data", type="kustoTrigger")
def unknown(data):
    return {"text": lambda: data, "json": lambda: {"a": [data]}, "bytes": lambda: bytearray(b"b"), "int": lambda: 5,
            "bool": lambda: True,
            "none": lambda: None, "date": lambda: {"a": datetime.date.min}, "wrong": object}[data]()

def forgetful(call):
    @functools.wraps(call)
    def wrapper(**arguments): return call(**arguments)
    return wrapper

@app.timer_trigger(arg_name="timer", schedule="* * * * * *")
@forgetful
async def Forgotten(timer): ...

@app.route("x")
async def ContextOf(req: func.HttpRequest, context: func.Context):
    assert isinstance(context, func.Context)
    trace = context.trace_context
    retry = context.retry_context
    return json.dumps({
        "name": context.function_name, "directory": context.function_directory, "id": context.invocation_id,
        "parent": trace.trace_parent, "Parent": trace.Traceparent, "state": trace.trace_state,
        "retry": [retry.retry_count, retry.max_retry_count, retry.exception],
        "thread": isinstance(context.thread_local_storage, threading.local),
    })

@app.function_name("ContextBinding")
@app.generic_trigger(arg_name="context", type="kustoTrigger")
def context_binding(context): print(json.dumps(context))
"""


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    folder = write_app(tmp_path_factory.mktemp("bindings"), {"function_app.py": APP})
    with driven_worker(folder) as worker:
        assert worker.problems == {}
        yield worker


def trigger(worker: DrivenWorker, function: str, *inputs: tuple[str, str, bytes], **more: Any) -> Result | Failure:
    return worker.answer(worker.invoke(function, encode_trigger(inputs, **more)))


def seen(answer: Result | Failure) -> Any:
    """What the function printed."""
    assert isinstance(answer, Result), answer
    [line] = answer.lines
    return json.loads(line.message)


# Outputs


def test_outputs_that_are_set_are_sent_beside_the_response(worker: DrivenWorker) -> None:
    result = worker.http("Outputs", "/?set=text&return=done")
    assert (result.status, result.text) == (200, "done")
    assert result.outputs == {"message": ("string", b"hello")}


def test_a_list_is_sent_as_json(worker: DrivenWorker) -> None:
    result = worker.http("Outputs", "/?set=list")
    assert result.outputs == {"message": ("string", b"a"), "other": ("json", b'["b", "c"]')}


def test_outputs_that_are_not_set_are_not_sent(worker: DrivenWorker) -> None:
    result = worker.http("Outputs")
    assert (result.status, result.outputs) == (204, {})


def test_an_output_that_its_binding_cannot_take_fails_the_invocation(worker: DrivenWorker) -> None:
    failure = worker.fail("Outputs", "/?set=wrong")
    assert failure.kind == "TypeError"
    expected = "the function gave a value of type object, but its binding message (queue) cannot take one"
    assert failure.message == expected


def test_a_response_may_be_an_output(worker: DrivenWorker) -> None:
    result = worker.http("HttpOut", "/?set=1")
    assert (result.status, result.text) == (202, "set")
    assert result.outputs == {"message": ("string", b"sent")}
    assert worker.http("HttpOut").status == 204


# Return values


def test_a_function_without_a_return_binding_may_return_nothing_but_none(worker: DrivenWorker) -> None:
    assert worker.http("NoResponse").status == 204
    for function in ("NoResponse", "HttpOut"):
        failure = worker.fail(function, "/?return=text")
        assert failure.kind == "TypeError"
        assert f"{function} has no $return binding that could take it" in failure.message


def test_the_return_value_of_an_http_function_can_go_elsewhere(worker: DrivenWorker) -> None:
    result = worker.http("ReturnsToQueue", "/?return=text")
    assert (result.status, result.outputs) == (204, {"$return": ("string", b"text")})


def test_the_return_value_of_a_timer_function_goes_nowhere(worker: DrivenWorker) -> None:
    answer = trigger(worker, "OnTimerReturns", ("timer", "json", b"{}"))
    assert isinstance(answer, Failure)
    assert "OnTimerReturns has no $return binding that could take it" in answer.message


@pytest.mark.parametrize(
    ("data", "output"),
    [
        ("text", ("string", b"text")),
        ("json", ("json", b'{"a": ["json"]}')),
        ("bytes", ("bytes", b"b")),
        ("int", ("json", b"5")),
        ("bool", ("json", b"true")),
        ("none", None),
    ],
)
def test_a_binding_that_the_sdk_does_not_know_has_an_implicit_return(
    data: str, output: tuple[str, bytes] | None, worker: DrivenWorker
) -> None:
    answer = trigger(worker, "Unknown", ("data", "string", data.encode()))
    assert isinstance(answer, Result), answer
    assert answer.outputs.get("$return") == output


@pytest.mark.parametrize(("data", "message"), [("wrong", "a value of type object"), ("date", "date is not JSON")])
def test_a_value_that_cannot_be_sent_fails_the_invocation(data: str, message: str, worker: DrivenWorker) -> None:
    answer = trigger(worker, "Unknown", ("data", "string", data.encode()))
    assert isinstance(answer, Failure)
    assert message in answer.message.replace("Object of type ", "")


def test_a_coroutine_that_a_decorator_forgot_to_await_is_explained(worker: DrivenWorker) -> None:
    answer = trigger(worker, "Forgotten", ("timer", "json", b"{}"))
    assert isinstance(answer, Failure)
    assert answer.message == (
        "the function returned a coroutine that nobody awaits: it is async, behind a decorator that is not"
    )
    assert answer.lines == []  # no warning about it either


# Other triggers


def test_a_queue_message_has_its_metadata(worker: DrivenWorker) -> None:
    metadata = {"Id": "5", "DequeueCount": 2}
    answer = trigger(worker, "OnMessage", ("message", "string", b"hello"), metadata=metadata)
    assert seen(answer) == {"id": "5", "body": "hello", "tries": 2}


def test_the_first_try_of_a_function_without_a_retry_policy(worker: DrivenWorker) -> None:
    assert seen(trigger(worker, "OnTimer", ("timer", "json", b'{"IsPastDue": true}'))) == [True, 0, 0, None]


def test_a_function_is_told_where_it_stands_in_its_retry_policy(worker: DrivenWorker) -> None:
    answer = trigger(worker, "OnTimer", ("timer", "json", b"{}"), retry=Retry(1, 3, "OSError: no network"))
    assert seen(answer) == [False, 1, 3, "OSError: no network"]


def test_only_the_trigger_sees_the_metadata_of_the_trigger(worker: DrivenWorker) -> None:
    inputs = (("blob", "bytes", b"one"), ("other", "bytes", b"two"))
    answer = trigger(worker, "Stored", *inputs, metadata={"BlobTrigger": "p/one"})
    assert seen(answer) == ["p/one", "one", None, "two"]


def test_whoever_annotates_bytes_gets_the_data_as_it_is(worker: DrivenWorker) -> None:
    assert seen(trigger(worker, "Plain", ("blob", "bytes", b"\xff\x00"))) == "ff00"


@pytest.mark.parametrize("inputs", [[("timer", "bytes", b"x")], [("timer", "json", b"{")]])
def test_data_that_a_binding_cannot_give_fails_the_invocation(
    inputs: list[tuple[str, str, bytes]], worker: DrivenWorker
) -> None:
    answer = trigger(worker, "OnTimer", *inputs)
    assert isinstance(answer, Failure)
    assert answer.kind in ("TypeError", "JSONDecodeError")


def test_an_input_that_did_not_come_is_none(worker: DrivenWorker) -> None:
    assert seen(trigger(worker, "ContextBinding")) is None


# The context


def test_the_context_of_an_invocation(worker: DrivenWorker) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = [("traceparent", parent), ("tracestate", "vendor=1")]
    context = worker.http("ContextOf", headers=headers, invocation_id="6d9ef8a5-7a4d-4b4a-9c5c-1d9c0e9a4c11").json()
    assert context == {
        "name": "ContextOf",
        "directory": context["directory"],
        "id": "6d9ef8a5-7a4d-4b4a-9c5c-1d9c0e9a4c11",
        "parent": parent,
        "Parent": parent,
        "state": "vendor=1",
        "retry": [0, 0, None],
        "thread": True,
    }
    assert worker.functions["ContextOf"]["file"].startswith(context["directory"])


def test_an_invocation_without_a_trace_begins_one(worker: DrivenWorker) -> None:
    context = worker.http("ContextOf", invocation_id="6d9ef8a5-7a4d-4b4a-9c5c-1d9c0e9a4c11").json()
    assert context["parent"].startswith("00-6d9ef8a57a4d4b4a9c5c1d9c0e9a4c11-")


def test_a_binding_may_be_called_context(worker: DrivenWorker) -> None:
    assert seen(trigger(worker, "ContextBinding", ("context", "string", b"data"))) == "data"
