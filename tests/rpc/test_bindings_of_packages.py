"""Bindings that come with packages: Durable Functions, deferred (SDK-type) bindings, and streamed HTTP."""

from __future__ import annotations

import http.client
import json
import threading
import uuid
from concurrent.futures import Future
from urllib.parse import urlsplit

from worker_ext.testing.rpc_host import RpcHost, messages

SUCCESS = messages.StatusResult.Success

DURABLE = """
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp()

@app.route(route="start")
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> str:
    return type(client).__name__ + " " + client.create_http_management_payload("the-id")["id"]

@app.orchestration_trigger(context_name="context")
def orchestrate(context: df.DurableOrchestrationContext):
    first = yield context.call_activity("say", "you")
    return [first]

@app.activity_trigger(input_name="name")
def say(name: str):
    return {"hello": name}

@app.entity_trigger(context_name="context")
def counter(context: df.DurableEntityContext):
    context.set_state(int(context.get_state(lambda: "0")) + int(context.get_input()))
"""


def history(*more: dict[str, object]) -> messages.TypedData:
    started = {"EventType": 12, "EventId": -1, "IsPlayed": False, "Timestamp": "2024-01-01T00:00:00.000000Z"}
    execution = {
        "EventType": 0,
        "EventId": -1,
        "IsPlayed": False,
        "Timestamp": "2024-01-01T00:00:00.000000Z",
        "ParentInstance": None,
        "Name": "orchestrate",
        "Version": "",
        "Input": None,
        "Tags": None,
        "OrchestrationInstance": {"InstanceId": "i", "ExecutionId": "e"},
    }
    orchestration = {
        "history": [started, execution, *more],
        "instanceId": "i",
        "isReplaying": False,
        "parentInstanceId": None,
        "input": None,
        "upperSchemaVersion": 0,
    }
    return messages.TypedData(string=json.dumps(orchestration))


def test_durable_functions(make_host):
    host = make_host({"function_app.py": DURABLE})
    client = json.dumps({
        "taskHubName": "hub", "creationUrls": {}, "managementUrls": {"id": "INSTANCEID", "statusQueryGetUri": "u"},
        "baseUrl": "http://localhost:7071/runtime/webhooks/durabletask", "requiredQueryStringParameters": "code=x",
        "rpcBaseUrl": "http://127.0.0.1:1/durabletask/", "httpBaseUrl": "http://127.0.0.1:1/durabletask/",
    })  # fmt: skip
    request = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/api/start"))
    answer = host.call("start", {"req": request, "client": client})
    assert answer.return_value.string == "DurableOrchestrationClient the-id", answer

    steps = json.loads(host.call("orchestrate", {"context": history()}).return_value.json)
    assert steps["actions"][0][0]["functionName"] == "say"
    assert steps["isDone"] is False

    assert json.loads(host.call("say", {"name": messages.TypedData(json='"you"')}).return_value.json) == {
        "hello": "you"
    }

    batch = {
        "self": {"name": "counter", "key": "k"},
        "exists": True,
        "state": json.dumps("5"),
        "batch": [{"name": "add", "input": json.dumps("2"), "signal": False, "id": "1"}],
    }
    state = json.loads(host.call("counter", {"context": json.dumps(batch)}).return_value.json)
    assert json.loads(state["entityState"]) == 7, state


DEFERRED = """
import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()

@app.blob_trigger(arg_name="client", path="c/{name}", connection="Storage")
@app.queue_output(arg_name="$return", queue_name="q", connection="c")
def read(client: blob.BlobClient) -> str:
    return f"{type(client).__module__} {client.container_name}/{client.blob_name}"

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
def plain(msg: func.QueueMessage) -> None: ...
"""


def test_deferred_bindings(make_host):
    connection = "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;BlobEndpoint=http://127.0.0.1:1/a;"
    host = make_host({"function_app.py": DEFERRED}, environ={"Storage": connection})
    told = {function.name: function for function in host.metadata().function_metadata_results}
    raw = {binding["name"]: binding for binding in map(json.loads, told["read"].raw_bindings)}
    assert raw["client"]["properties"] == {"SupportsDeferredBinding": True}
    assert raw["$return"]["properties"] == {"SupportsDeferredBinding": False}
    assert "properties" not in json.loads(told["plain"].raw_bindings[0])
    content = json.dumps({"Connection": "Storage", "ContainerName": "c", "BlobName": "file.txt"}).encode()
    data = messages.ModelBindingData(
        version="1.0", source="AzureStorageBlobs", content_type="application/json", content=content
    )
    answer = host.call("read", {"client": messages.TypedData(model_binding_data=data)})
    assert answer.return_value.string == "azure.storage.blob._blob_client c/file.txt", answer
    refused = host.call("read", {"client": "content"})
    assert "string" in refused.result.exception.message


STREAMED = """
import asyncio
import azure.functions as func
from azurefunctions.extensions.http.fastapi import JSONResponse, Request, StreamingResponse

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="upload/{name}", methods=["POST"])
async def upload(req: Request, context) -> JSONResponse:
    size = 0
    async for chunk in req.stream():
        size += len(chunk)
    return JSONResponse({"size": size, "name": req.path_params["name"], "id": context.invocation_id})

@app.route(route="download")
async def download(req: Request) -> StreamingResponse:
    async def parts():
        for number in range(3):
            yield f"part {number}\\n"
            await asyncio.sleep(float(req.query_params.get("pause", 0)))
    return StreamingResponse(parts(), media_type="text/plain")

@app.route(route="sync")
def sync(req: Request) -> str:
    return "sync"

@app.route(route="fails")
async def fails(req: Request) -> str:
    raise ValueError("no")

@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
def tick(timer: func.TimerRequest) -> None: ...
"""


def proxied(
    host: RpcHost, function: str, body: bytes = b"", params: dict[str, str] | None = None, *, first: str
) -> tuple[int, bytes, messages.InvocationResponse]:
    """Do what a host does that proxies requests: the invocation over gRPC, the request over HTTP.

    :param first: which of them comes first.
    """
    invocation_id = str(uuid.uuid4())
    data = messages.TypedData(http=messages.RpcHttp(method="POST", url="http://localhost/api", params=params or {}))
    uri = urlsplit(host.capabilities["HttpUri"])
    answered: Future[tuple[int, bytes]] = Future()

    def request() -> None:
        connection = http.client.HTTPConnection(uri.hostname or "", uri.port or 0, timeout=20)
        try:
            connection.request("POST", f"/api/{function}", body, {"x-ms-invocation-id": invocation_id})
            response = connection.getresponse()
            answered.set_result((response.status, response.read()))
        except OSError as error:
            answered.set_exception(error)
        finally:
            connection.close()

    thread = threading.Thread(target=request)
    if first == "request":
        thread.start()
    invocation = host.invoke(function, {"req": data}, invocation_id=invocation_id)
    if first == "invocation":
        thread.start()
    status, content = answered.result(20)
    thread.join()
    return status, content, invocation.result(20)


def test_streamed_http(make_host):
    host = make_host({"function_app.py": STREAMED})
    assert host.capabilities["HttpUri"].startswith("http://127.0.0.1:")
    assert host.capabilities["RequiresRouteParameters"] == "true"
    body = b"x" * 300_000
    for first in ("request", "invocation"):
        status, content, response = proxied(host, "upload", body, {"name": "file"}, first=first)
        assert status == 200
        found = json.loads(content)
        assert (found["size"], found["name"], found["id"]) == (300_000, "file", response.invocation_id)
        assert response.result.status == SUCCESS
        assert not response.HasField("return_value")
    assert proxied(host, "download", first="request")[:2] == (200, b"part 0\npart 1\npart 2\n")
    assert proxied(host, "sync", first="invocation")[:2] == (200, b'"sync"')
    status, _, response = proxied(host, "fails", first="invocation")
    assert status == 500
    assert response.result.exception.message == "ValueError: no"
    assert host.call("tick", {"timer": messages.TypedData(json="{}")}).result.status == SUCCESS


def test_an_answer_that_goes_on_after_its_function_has_returned_is_waited_for_at_the_end(make_host):
    host = make_host({"function_app.py": STREAMED})
    uri = urlsplit(host.capabilities["HttpUri"])
    data = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/api"))
    returned = host.invoke("download", {"req": data}, invocation_id="streamed")
    connection = http.client.HTTPConnection(uri.hostname or "", uri.port or 0, timeout=20)
    connection.request("GET", "/api/download?pause=0.1", headers={"x-ms-invocation-id": "streamed"})
    with connection.getresponse() as response:
        assert returned.result(host.deadline).result.status == SUCCESS
        assert host.terminate() == 0
        assert response.read() == b"part 0\npart 1\npart 2\n"
    connection.close()


def test_an_invocation_whose_request_never_comes_can_be_cancelled(make_host):
    host = make_host({"function_app.py": STREAMED})
    data = messages.TypedData(http=messages.RpcHttp(method="POST", url="http://localhost/api"))
    waiting = host.invoke("sync", {"req": data}, invocation_id="alone")
    host.cancel("alone")
    assert waiting.result(20).result.status == messages.StatusResult.Cancelled


def test_a_streaming_app_with_a_request_of_the_other_kind_is_told(make_host):
    source = STREAMED + "\n@app.route(route='old')\ndef old(req: func.HttpRequest) -> str: ...\n"
    host = make_host({"function_app.py": source})
    told = {function.name: function for function in host.metadata().function_metadata_results}
    assert "request type" in told["old"].status.exception.message
