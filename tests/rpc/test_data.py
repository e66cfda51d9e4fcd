"""What bindings carry, in and out: every kind of data, through a real worker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hosting import write_app

from worker_ext.testing.rpc_host import RpcHost, messages

APP = """
import datetime, json, typing
import azure.functions as func

app = func.FunctionApp()

def show(value):
    return json.dumps({"type": type(value).__name__, "value": value if not isinstance(value, bytes) else value.hex()})

@app.route(route="request")
def request(req: func.HttpRequest) -> str:
    return json.dumps({
        "method": req.method, "url": req.url, "headers": dict(req.headers), "params": dict(req.params),
        "route": dict(req.route_params), "body": req.get_body().hex(),
    })

@app.route(route="respond")
def respond(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse(b"\\x00\\xff", status_code=418, mimetype="application/x-tea")
    response.headers["X-One"] = "1"
    response.headers.add("X-Two", "a")
    response.headers.add("X-Two", "b")
    response.headers.add("Set-Cookie", "id=42; Domain=example.org; Path=/; Max-Age=60; Secure; HttpOnly; SameSite=Lax")
    response.headers.add("Set-Cookie", "later=1; Expires=Thu, 12 Jan 2017 13:55:08 GMT")
    return response

@app.route(route="nothing")
def nothing(req: func.HttpRequest): ...

@app.route(route="outputs")
@app.queue_output(arg_name="queue", queue_name="q", connection="c")
@app.blob_output(arg_name="blob", path="b", connection="c")
@app.generic_output_binding(arg_name="other", type="other")
@app.generic_output_binding(arg_name="unset", type="other")
def outputs(req: func.HttpRequest, queue: func.Out[typing.List[str]], blob: func.Out[bytes], other, unset) -> str:
    queue.set(["a", "b"])
    blob.set(b"\\x01")
    other.set({"x": 1})
    return "sent"

@app.generic_trigger(arg_name="data", type="someTrigger")
def generic(data):
    return {"type": type(data).__name__, "data": data.hex() if isinstance(data, bytes) else data}

@app.generic_trigger(arg_name="data", type="someTrigger")
def echo(data):
    return json.loads(data)

@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def tick(timer: func.TimerRequest) -> str:
    return str(timer.past_due)

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def queue(msg: func.QueueMessage) -> str:
    return json.dumps([msg.id, msg.dequeue_count, msg.get_body().decode(), str(msg.insertion_time)])

@app.blob_trigger(arg_name="blob", path="b/{name}", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def blob(blob: func.InputStream) -> str:
    return json.dumps([blob.name, blob.uri, blob.read().decode()])

@app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def hub(event: func.EventHubEvent) -> str:
    return json.dumps([event.get_body().decode(), event.partition_key, event.sequence_number, event.offset])

@app.event_hub_message_trigger(arg_name="events", event_hub_name="h", connection="c", cardinality="many")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def hubs(events: typing.List[func.EventHubEvent]) -> str:
    return json.dumps([event.get_body().decode() for event in events])

@app.service_bus_queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def bus(msg: func.ServiceBusMessage) -> str:
    return json.dumps([msg.get_body().decode(), msg.message_id, msg.user_properties])

@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def grid(event: func.EventGridEvent) -> str:
    return json.dumps([event.id, event.topic, event.get_json()])

@app.cosmos_db_trigger(arg_name="docs", container_name="c", database_name="d", connection="c")
@app.cosmos_db_output(arg_name="$return", container_name="c", database_name="d", connection="c")
def cosmos(docs: func.DocumentList) -> func.Document:
    return func.Document.from_dict({"count": len(docs), "first": docs[0]["id"]})

@app.warm_up_trigger("warm")
def warm(warm) -> None: ...

@app.route(route="context")
def context(req: func.HttpRequest, context: func.Context) -> str:
    return json.dumps([
        context.function_name, context.function_directory, context.invocation_id, context.trace_context.trace_parent,
        context.trace_context.trace_state, dict(context.trace_context.attributes),
        context.retry_context.retry_count, context.retry_context.max_retry_count,
        context.retry_context.exception.message if context.retry_context.exception else None,
    ])
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RpcHost]:
    with RpcHost(write_app(tmp_path_factory.mktemp("data"), {"function_app.py": APP})) as host:
        host.start()
        yield host


def returned(response: messages.InvocationResponse) -> object:
    """What a function returned as JSON."""
    assert response.result.status == messages.StatusResult.Success, response.result.exception
    value = response.return_value
    return json.loads(getattr(value, value.WhichOneof("data")))


def failed(response: messages.InvocationResponse) -> str:
    assert response.result.status == messages.StatusResult.Failure
    return response.result.exception.message


# HTTP


def test_a_request(host):
    response = host.http(
        "request",
        method="POST",
        url="http://localhost/api/request/7?a=1",
        headers={"accept": "text/plain", "x-list": "a,b"},
        query={"a": "1"},
        params={"id": "7"},
        body=b"\x00\xff",
    )
    assert returned(response) == {
        "method": "POST",
        "url": "http://localhost/api/request/7?a=1",
        "headers": {"accept": "text/plain", "x-list": "a,b"},
        "params": {"a": "1"},
        "route": {"id": "7"},
        "body": "00ff",
    }


def test_a_request_with_nullable_values_keeps_the_empty_ones(host):
    def nullable(**values: str) -> dict[str, messages.NullableString]:
        return {name: messages.NullableString(value=value) for name, value in values.items()}

    response = host.http(
        "request",
        nullable_headers=nullable(accept="", host="h"),
        nullable_query=nullable(flag=""),
        nullable_params=nullable(id="", rest="x/y"),
        body="text",
    )
    found = returned(response)
    assert found["headers"] == {"accept": "", "host": "h"}
    assert found["params"] == {"flag": ""}
    assert found["route"] == {"id": "", "rest": "x/y"}
    assert bytes.fromhex(found["body"]) == b"text"


def test_a_response(host):
    http = host.http("respond").return_value.http
    assert http.status_code == "418"
    assert http.body.bytes == b"\x00\xff"
    assert dict(http.headers) == {"X-One": "1", "X-Two": "a, b", "content-type": "application/x-tea"}
    identity, later = http.cookies
    assert (identity.name, identity.value) == ("id", "42")
    assert (identity.domain.value, identity.path.value, identity.max_age.value) == ("example.org", "/", 60)
    assert identity.secure.value
    assert identity.http_only.value
    assert identity.same_site == messages.RpcHttpCookie.Lax
    assert (later.name, later.expires.value.seconds) == ("later", 1484229308)


def test_no_response_is_204(host):
    assert host.http("nothing").return_value.http.status_code == "204"


def test_outputs(host):
    response = host.http("outputs")
    assert response.return_value.string == "sent"
    outputs = {output.name: output.data for output in response.output_data}
    assert outputs.keys() == {"queue", "blob", "other"}
    assert json.loads(outputs["queue"].json) == ["a", "b"]
    assert outputs["blob"].bytes == b"\x01"
    assert json.loads(outputs["other"].json) == {"x": 1}


# Kinds of data


@pytest.mark.parametrize(
    ("data", "type_name", "value"),
    [
        (messages.TypedData(string="text"), "str", "text"),
        (messages.TypedData(json='{"a": 1}'), "str", '{"a": 1}'),
        (messages.TypedData(bytes=b"\x01"), "bytes", "01"),
        (messages.TypedData(stream=b"\x02"), "bytes", "02"),
        (messages.TypedData(int=-5), "int", -5),
        (messages.TypedData(double=1.5), "float", 1.5),
        (messages.TypedData(collection_string={"string": ["a", "b"]}), "list", ["a", "b"]),
        (messages.TypedData(collection_double={"double": [1.5]}), "list", [1.5]),
        (messages.TypedData(collection_sint64={"sint64": [-1]}), "list", [-1]),
        (messages.TypedData(), "NoneType", None),
    ],
    ids=lambda value: value.WhichOneof("data") or "none" if isinstance(value, messages.TypedData) else "",
)
def test_a_generic_binding_gives_every_kind_of_data(host, data, type_name, value):
    assert returned(host.call("generic", {"data": data})) == {"type": type_name, "data": value}


@given(
    st.recursive(
        st.text() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=5,
    )
)
@settings(max_examples=60)
def test_a_generic_binding_takes_text_numbers_and_json(host, value):
    data = host.call("echo", {"data": messages.TypedData(json=json.dumps(value))}).return_value
    kind = data.WhichOneof("data")
    found = json.loads(data.json) if kind == "json" else getattr(data, kind)
    assert found == value
    assert type(found) is type(value)


def test_a_number_that_the_host_has_no_place_for_fails(host):
    assert "ValueError" in failed(host.call("echo", {"data": messages.TypedData(json=str(2**70))}))


# Triggers


def test_timer(host):
    data = messages.TypedData(json=json.dumps({"IsPastDue": True, "Schedule": {}, "ScheduleStatus": {}}))
    assert host.call("tick", {"timer": data}).return_value.string == "True"


def test_queue(host):
    metadata = {"Id": "7", "DequeueCount": "2", "InsertionTime": "2024-01-02T03:04:05+00:00"}
    assert returned(host.call("queue", {"msg": "text"}, metadata=metadata)) == [
        "7",
        2,
        "text",
        "2024-01-02 03:04:05+00:00",
    ]


def test_blob(host):
    metadata = {"BlobTrigger": "b/file", "Uri": "http://blobs/b/file"}
    assert returned(host.call("blob", {"blob": b"content"}, metadata=metadata)) == [
        "b/file",
        "http://blobs/b/file",
        "content",
    ]


def test_event_hubs(host):
    metadata = {
        "PartitionKey": "key",
        "SequenceNumber": "47",
        "Offset": "1000",
        "SystemProperties": {},
        "EnqueuedTime": "2020-01-01T00:00:00Z",
    }
    assert returned(host.call("hub", {"event": b"body"}, metadata=metadata)) == ["body", "key", 47, "1000"]


@pytest.mark.parametrize("kind", ["bytes", "string"])
def test_event_hubs_in_batches(host, kind):
    bodies = [b"one", b"two"] if kind == "bytes" else ["one", "two"]
    data = messages.TypedData(**{f"collection_{kind}": {kind: bodies}})
    metadata = {"SystemPropertiesArray": [{}, {}]}
    assert returned(host.call("hubs", {"events": data}, metadata=metadata)) == ["one", "two"]


def test_service_bus(host):
    metadata = {"MessageId": "m1", "UserProperties": {"a": "b"}}
    assert returned(host.call("bus", {"msg": "hi"}, metadata=metadata)) == ["hi", "m1", {"a": "b"}]


def test_event_grid(host):
    event = {
        "id": "1",
        "topic": "t",
        "subject": "s",
        "eventType": "e",
        "data": {"k": 1},
        "eventTime": "2020-01-01T00:00:00Z",
        "dataVersion": "1",
    }
    assert returned(host.call("grid", {"event": event})) == ["1", "t", {"k": 1}]


def test_cosmos_db(host):
    assert returned(host.call("cosmos", {"docs": [{"id": "a"}, {"id": "b"}]})) == [{"count": 2, "first": "a"}]


def test_warm_up(host):
    assert host.call("warm", {"warm": ""}).result.status == messages.StatusResult.Success


def test_the_context(host):
    trace = messages.RpcTraceContext(trace_parent="00-1-2-01", trace_state="k=v", attributes={"OperationName": "op"})
    retry = messages.RetryContext(
        retry_count=1, max_retry_count=3, exception=messages.RpcException(message="the last try")
    )
    data = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))
    response = host.call("context", {"req": data}, invocation_id="an-id", trace_context=trace, retry_context=retry)
    assert returned(response) == [
        "context",
        str(host.folder),
        "an-id",
        "00-1-2-01",
        "k=v",
        {"OperationName": "op"},
        1,
        3,
        "the last try",
    ]


# What cannot be decoded


@pytest.mark.parametrize(
    ("function", "inputs", "message"),
    [
        ("queue", {"msg": messages.TypedData(http=messages.RpcHttp())}, "http"),
        ("request", {"req": "text"}, "req"),
        ("cosmos", {"docs": messages.TypedData(json="{no json")}, "JSON"),
        ("hub", {"event": messages.TypedData()}, "came without data"),
        ("queue", {"msg": "text", "stranger": "x"}, "stranger"),
        ("queue", {"msg": messages.TypedData(model_binding_data=messages.ModelBindingData())}, ""),
    ],
)
def test_data_that_does_not_fit_fails_its_invocation(host, function, inputs, message):
    assert message in failed(host.call(function, inputs))
    assert returned(host.call("queue", {"msg": "text"}, metadata={"Id": "1"}))[0] == "1"


def test_an_unknown_function_is_told(host):
    assert "no function with the id 'nobody'" in failed(host.call("nobody"))
