"""The same messages to our worker and to Microsoft's own runtime for Python 3.13 and later: the answers are equal.

Both run on one interpreter, with one version of azure-functions. Where the answers differ on purpose, the difference is
in ``DELIBERATE``, and in docs/functions-host.md in words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hosting import write_app
from support.stock_runtime import ROOT, stock_python

from worker_ext.testing.rpc_host import OUR_WORKER, RpcHost, messages

STOCK_WORKER = str(ROOT / "tests" / "support" / "stock_worker.py")

APP = '''
import datetime, json, typing
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp()

def show(value):
    """A value with its type, as JSON can carry it."""
    if isinstance(value, dict):
        return {str(key): show(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [show(item) for item in value]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, datetime.datetime):
        return ["datetime", value.isoformat()]
    return [type(value).__name__, value if isinstance(value, (int, float, str, type(None))) else str(value)]

def shown(*values):
    return json.dumps([show(value) for value in values], sort_keys=True)

@app.route(route="request")
def request(req: func.HttpRequest) -> str:
    try:
        body = req.get_json()
    except ValueError as error:
        body = "no JSON"
    return shown(req.method, req.url, dict(req.headers), dict(req.params), dict(req.route_params), req.get_body(), body)

@app.route(route="arequest")
async def arequest(req: func.HttpRequest, context) -> str:
    retry, trace = context.retry_context, context.trace_context
    return shown(context.function_name, context.function_directory, context.invocation_id, retry.retry_count,
                 retry.max_retry_count, trace.Tracestate, dict(trace.Attributes))

@app.route(route="respond")
def respond(req: func.HttpRequest) -> func.HttpResponse:
    wanted = req.get_json()
    return func.HttpResponse(
        bytes.fromhex(wanted["body"]), status_code=wanted["status"], headers=wanted["headers"],
        mimetype=wanted["mimetype"], charset="utf-8",
    )

@app.route(route="cookies")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("x")
    for cookie in req.get_json():
        response.headers.add("Set-Cookie", cookie)
    return response

@app.route(route="returns")
def returns(req: func.HttpRequest):
    return {"none": None, "text": "text", "number": 1, "object": {}, "bytes": b"x"}[req.params["what"]]

@app.route(route="raises")
def raises(req: func.HttpRequest) -> str:
    raise ValueError(req.params["text"])

@app.generic_trigger(arg_name="data", type="someTrigger")
def generic(data):
    return shown(data)

@app.generic_trigger(arg_name="data", type="someTrigger")
def gives(data):
    return json.loads(data)

@app.generic_trigger(arg_name="data", type="someTrigger")
@app.generic_output_binding(arg_name="one", type="some")
@app.queue_output(arg_name="two", queue_name="q", connection="c")
@app.blob_output(arg_name="three", path="b", connection="c")
def outputs(data, one, two: func.Out[str], three: func.Out[bytes]):
    wanted = json.loads(data)
    if "one" in wanted:
        one.set(wanted["one"])
    if "two" in wanted:
        two.set(wanted["two"])
    if "three" in wanted:
        three.set(wanted["three"].encode())

@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def tick(timer: func.TimerRequest) -> str:
    return shown(timer.past_due, timer.schedule, timer.schedule_status)

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def queue(msg: func.QueueMessage) -> str:
    return shown(msg.id, msg.dequeue_count, msg.get_body(), msg.insertion_time, msg.expiration_time, msg.pop_receipt)

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def queue_text(msg: str) -> str:
    return shown(msg)

@app.blob_trigger(arg_name="blob", path="b/{name}", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def blob(blob: func.InputStream) -> str:
    return shown(blob.name, blob.uri, blob.read(), blob.metadata)

@app.event_hub_message_trigger(arg_name="event", event_hub_name="h", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def hub(event: func.EventHubEvent) -> str:
    return shown(event.get_body(), event.partition_key, event.sequence_number, event.offset, event.enqueued_time,
                 event.metadata)

@app.event_hub_message_trigger(arg_name="events", event_hub_name="h", connection="c", cardinality="many")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def hubs(events: typing.List[func.EventHubEvent]) -> str:
    return shown(*[[event.get_body(), event.partition_key, event.metadata] for event in events])

@app.service_bus_queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def bus(msg: func.ServiceBusMessage) -> str:
    return shown(msg.get_body(), msg.message_id, msg.content_type, msg.delivery_count, msg.user_properties)

@app.event_grid_trigger(arg_name="event")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def grid(event: func.EventGridEvent) -> str:
    return shown(event.id, event.topic, event.subject, event.event_type, event.event_time, event.get_json())

@app.cosmos_db_trigger(arg_name="docs", container_name="c", database_name="d", connection="c")
@app.cosmos_db_output(arg_name="$return", container_name="c", database_name="d", connection="c")
def cosmos(docs: func.DocumentList) -> func.DocumentList:
    return docs

@app.warm_up_trigger("warm")
def warm(warm) -> None: ...

@app.activity_trigger(input_name="name")
def activity(name):
    return {"given": show(name)}

@app.entity_trigger(context_name="context")
def entity(context: df.DurableEntityContext):
    context.set_state(context.get_input())

@app.orchestration_trigger(context_name="context")
def orchestrate(context: df.DurableOrchestrationContext):
    answer = yield context.call_activity("activity", context.get_input())
    return answer
'''


def typed(**kind: Any) -> messages.TypedData:
    return messages.TypedData(**kind)


texts = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
scalars = (
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
json_texts = json_values.map(json.dumps)
moments = (
    st.datetimes().map(lambda moment: moment.strftime("%Y-%m-%dT%H:%M:%S+00:00")).filter(lambda text: text[0] != "0")
)
content = st.one_of(
    texts.map(lambda text: typed(string=text)),
    st.binary(max_size=30).map(lambda data: typed(bytes=data)),
    json_texts.map(lambda text: typed(json=text)),
)
"""What most triggers can carry."""

http_requests = st.builds(
    messages.RpcHttp,
    method=st.sampled_from(["GET", "POST", "DELETE"]),
    url=names.map(lambda name: f"http://localhost/api/{name}"),
    headers=st.dictionaries(names, texts, max_size=3),
    query=st.dictionaries(names, texts, max_size=3),
    params=st.dictionaries(names, texts, max_size=3),
    body=content,
)
cookies = st.builds(
    lambda name, value, attributes: "; ".join((f"{name}={value}", *attributes)),
    names,
    names,
    st.lists(
        st.sampled_from([
            "Secure", "HttpOnly", "Path=/", "Domain=example.org", "Max-Age=60", "SameSite=Lax", "SameSite=Strict",
            "SameSite=None", "Expires=Thu, 12 Jan 2017 13:55:08 GMT",
        ]),
        unique=True, max_size=4,
    ),
)  # fmt: skip
metadata_texts = st.fixed_dictionaries(
    {},
    optional={
        "Id": texts, "DequeueCount": st.integers(0, 9).map(str), "InsertionTime": moments, "ExpirationTime": moments,
        "PopReceipt": texts, "BlobTrigger": texts, "Uri": texts, "PartitionKey": texts, "MessageId": texts,
        "SequenceNumber": st.integers(0, 99).map(str), "Offset": st.integers(0).map(str), "EnqueuedTime": moments,
        "ContentType": texts,
        "DeliveryCount": st.integers(0, 9).map(lambda number: typed(json=str(number))),
        "UserProperties": st.dictionaries(texts, texts, max_size=2).map(lambda value: typed(json=json.dumps(value))),
        "SystemProperties": st.dictionaries(names, texts, max_size=2).map(lambda value: typed(json=json.dumps(value))),
    },
)  # fmt: skip


def batch(kind: str, items: st.SearchStrategy[Any]) -> st.SearchStrategy[messages.TypedData]:
    return st.lists(items, min_size=1, max_size=3).map(lambda values: typed(**{f"collection_{kind}": {kind: values}}))


def orchestration(value: Any) -> str:
    moment = {"EventId": -1, "IsPlayed": False, "Timestamp": "2024-01-01T00:00:00.000000Z"}
    execution = {"EventType": 0, "Name": "orchestrate", "Version": "", "Input": json.dumps(value), **moment}
    return json.dumps({
        "history": [{"EventType": 12, **moment}, execution], "instanceId": "i", "isReplaying": False,
        "parentInstanceId": None, "input": json.dumps(value), "upperSchemaVersion": 0,
    })  # fmt: skip


def entity_batch(value: Any) -> str:
    operation = {"name": "set", "input": json.dumps(json.dumps(value)), "signal": False, "id": "1"}
    return json.dumps({"self": {"name": "entity", "key": "k"}, "exists": False, "state": None, "batch": [operation]})


event = st.fixed_dictionaries({
    "id": texts, "topic": texts, "subject": texts, "eventType": texts, "eventTime": moments, "dataVersion": texts,
    "data": json_values,
})  # fmt: skip
documents = st.dictionaries(names, json_values, max_size=3)
timers = st.fixed_dictionaries(
    {}, optional={"IsPastDue": st.booleans(), "Schedule": st.just({"AdjustForDST": True}),
                  "ScheduleStatus": st.fixed_dictionaries({"Last": moments, "Next": moments})},
)  # fmt: skip
responses = st.fixed_dictionaries({
    "status": st.integers(100, 599), "body": st.binary(max_size=20).map(bytes.hex), "mimetype": st.sampled_from(
        ["text/plain", "text/html", "application/json", "application/octet-stream"]),
    "headers": st.none() | st.dictionaries(names, names, max_size=3),
})  # fmt: skip

as_json = st.builds(lambda text: typed(json=text), json_texts)

INPUTS: dict[str, tuple[str, st.SearchStrategy[messages.TypedData]]] = {
    "request": ("req", http_requests.map(lambda http: typed(http=http))),
    "arequest": ("req", http_requests.map(lambda http: typed(http=http))),
    "respond": ("req", responses.map(lambda value: typed(http={"body": typed(json=json.dumps(value))}))),
    "cookies": (
        "req",
        st.lists(cookies, max_size=3).map(lambda value: typed(http={"body": typed(json=json.dumps(value))})),
    ),
    "raises": ("req", texts.map(lambda text: typed(http={"query": {"text": text}}))),
    "generic": ("data", content),
    "gives": ("data", as_json.filter(lambda data: data.json.strip() not in ("true", "false"))),
    "outputs": (
        "data",
        st.fixed_dictionaries(
            {},
            optional={
                "one": json_values.filter(lambda value: value is not None and not isinstance(value, bool)),
                "two": texts,
                "three": texts,
            },
        ).map(lambda value: typed(json=json.dumps(value))),
    ),
    "tick": ("timer", timers.map(lambda value: typed(json=json.dumps(value)))),
    "queue": ("msg", content),
    "queue_text": ("msg", content.filter(lambda data: data.WhichOneof("data") != "bytes")),
    "blob": ("blob", content),
    "hub": ("event", content),
    "hubs": ("events", batch("bytes", st.binary(max_size=10)) | batch("string", texts) | as_json),
    "bus": ("msg", content),
    "grid": ("event", event.map(lambda value: typed(json=json.dumps(value)))),
    "cosmos": ("docs", (st.lists(documents, max_size=3) | documents).map(lambda value: typed(json=json.dumps(value)))),
    "warm": ("warm", content),
    "activity": ("name", content),
    "entity": ("context", json_values.map(lambda value: typed(string=entity_batch(value)))),
    "orchestrate": ("context", json_values.map(lambda value: typed(string=orchestration(value)))),
}
"""Function → the parameter of its trigger, and what its trigger can carry."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RpcHost, RpcHost]]:
    """Our worker and the stock one, both with the app."""
    folder = write_app(tmp_path_factory.mktemp("differential"), {"function_app.py": APP})
    python = stock_python()
    with RpcHost(folder, (python, OUR_WORKER[-1])) as ours, RpcHost(folder, (python, STOCK_WORKER)) as stock:
        ours.start()
        stock.start()
        yield ours, stock


def answers(pair: tuple[RpcHost, RpcHost], function: str, data: messages.TypedData, **more: Any) -> list[Any]:
    """What both answer, in a form that can be compared."""
    parameter = INPUTS[function][0]
    futures = [host.invoke(function, {parameter: data}, invocation_id="the-id", **more) for host in pair]
    return [comparable(future.result(30)) for future in futures]


def comparable(response: messages.InvocationResponse) -> Any:
    """An answer without what may differ: the order of maps, the spacing of JSON, times that have passed."""
    if response.result.status != messages.StatusResult.Success:
        kind = response.result.exception.message.partition(":")[0]
        return (
            "failed",
            kind in ("ValueError", "TypeError", "KeyError", "NotImplementedError", "AttributeError") or kind,
        )
    outputs = {output.name: plain(output.data) for output in response.output_data}
    return plain(response.return_value) if response.HasField("return_value") else None, outputs


def plain(data: messages.TypedData) -> Any:
    kind = data.WhichOneof("data")
    if kind == "json":
        return kind, without_times(json.loads(data.json))
    if kind == "http":
        http = data.http
        cookies = [cookie.SerializeToString(deterministic=True) for cookie in http.cookies]
        return kind, http.status_code, dict(http.headers), plain(http.body), cookies, http.enable_content_negotiation
    return kind, getattr(data, kind) if kind is not None else None


def without_times(value: Any) -> Any:
    """The result of an entity, which says how long it took."""
    if isinstance(value, dict) and "results" in value:
        return {**value, "results": [{**each, "duration": 0, "startTime": 0} for each in value["results"]]}
    return value


@pytest.mark.parametrize("function", INPUTS)
@given(data=st.data())
@settings(max_examples=25)
def test_answers_are_equal(pair, function, data):
    inputs = data.draw(INPUTS[function][1])
    ours, stock = answers(pair, function, inputs, metadata=data.draw(metadata_texts))
    assert ours == stock


@given(
    count=st.integers(0, 5), limit=st.integers(-1, 5), state=texts, attributes=st.dictionaries(texts, texts, max_size=2)
)
@settings(max_examples=25)
def test_contexts_are_equal(pair, count, limit, state, attributes):
    ours, stock = answers(
        pair, "arequest", typed(http=messages.RpcHttp()),
        trace_context=messages.RpcTraceContext(trace_parent="00-1-1-01", trace_state=state, attributes=attributes),
        retry_context=messages.RetryContext(retry_count=count, max_retry_count=limit),
    )  # fmt: skip
    assert ours == stock


def test_the_app_is_described_alike(pair):
    ours, stock = ({each.name: each for each in host.metadata().function_metadata_results} for host in pair)
    assert ours.keys() == stock.keys()
    for name, function in ours.items():
        assert [json.loads(raw) for raw in function.raw_bindings] == [
            json.loads(raw) for raw in stock[name].raw_bindings
        ]
        for each in (function, stock[name]):
            del each.raw_bindings[:]
        assert function == stock[name]


DELIBERATE: dict[str, tuple[str, messages.TypedData, Callable[[Any, Any], bool]]] = {
    "a function that returns nothing answers 204, it does not fail": (
        "returns", typed(http={"query": {"what": "none"}}),
        lambda ours, stock: ours[0][1] == "204" and stock[0] == "failed",
    ),
    "whole numbers are given to generic bindings": (
        "generic", typed(int=5), lambda ours, stock: json.loads(ours[0][1]) == [["int", 5]] and stock[0] == "failed",
    ),
    "so are other numbers": (
        "generic", typed(double=0.5),
        lambda ours, stock: json.loads(ours[0][1]) == [["float", 0.5]] and stock[0] == "failed",
    ),
    "streams are given as bytes": (
        "generic", typed(stream=b"\x01"),
        lambda ours, stock: json.loads(ours[0][1]) == [["bytes", "01"]] and stock[0] == "failed",
    ),
    "collections are given to generic bindings as lists": (
        "generic", typed(collection_string={"string": ["a"]}),
        lambda ours, stock: json.loads(ours[0][1]) == [[["str", "a"]]] and stock[0] == "failed",
    ),
    "who annotates text is given text, and bytes for bytes": (
        "queue_text", typed(bytes=b"text"),
        lambda ours, stock: json.loads(ours[0][1]) == [["str", "text"]]
        and json.loads(stock[0][1]) == [["bytes", b"text".hex()]],
    ),
    "values that the host sends in their nullable form are read": (
        "request", typed(http={"nullable_query": {"a": messages.NullableString(value="1")}}),
        lambda ours, stock: json.loads(ours[0][1])[3] == {"a": ["str", "1"]} and json.loads(stock[0][1])[3] == {},
    ),
    "what is no cookie is refused, it is not lost": (
        "cookies", typed(http={"body": typed(json='["=;"]')}),
        lambda ours, stock: ours[0] == "failed" and stock[0][4] == [],
    ),
}  # fmt: skip
"""What differs → a message that shows it, and how the two answers to it are."""


@pytest.mark.parametrize("difference", DELIBERATE)
def test_answers_differ_where_they_are_to(pair, difference):
    function, data, is_so = DELIBERATE[difference]
    parameter = INPUTS[function][0] if function in INPUTS else "req"
    ours, stock = (comparable(host.call(function, {parameter: data})) for host in pair)
    assert is_so(ours, stock), (ours, stock)


def test_the_written_list_names_every_deliberate_difference():
    text = " ".join((Path(ROOT) / "docs" / "functions-host.md").read_text(encoding="utf-8").split())
    assert [difference for difference in DELIBERATE if difference not in text.lower()] == []
