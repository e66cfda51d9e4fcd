"""Queue triggers and queue outputs of a real host, with a real storage emulator."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.azurite import Azurite, unique
from support.hosting import RunningHost, running_host, wait_until, write_app

APP = """
import json, logging, os, time, typing
from pathlib import Path
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"
HERE = Path(__file__).parent

@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-in", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="%PREFIX%-told", connection=STORAGE)
def tell(message: func.QueueMessage) -> str:
    return json.dumps({
        "body": message.get_body().decode(), "count": message.dequeue_count, "id": bool(message.id),
        "receipt": bool(message.pop_receipt), "lives": (message.expiration_time - message.insertion_time).days,
        "next": message.time_next_visible > message.insertion_time,
    })

@app.queue_trigger(arg_name="text", queue_name="%PREFIX%-text", connection=STORAGE)
@app.queue_output(arg_name="out", queue_name="%PREFIX%-out", connection=STORAGE)
async def text(text: str, out: func.Out[str]) -> None:
    out.set(f"{type(text).__name__}: {text}")

@app.queue_trigger(arg_name="data", queue_name="%PREFIX%-bytes", connection=STORAGE)
@app.queue_output(arg_name="out", queue_name="%PREFIX%-out", connection=STORAGE)
def raw(data: bytes, out: func.Out[bytes]) -> None:
    out.set(type(data).__name__.encode() + b": " + data)

@app.queue_trigger(arg_name="order", queue_name="%PREFIX%-orders", connection=STORAGE)
@app.queue_output(arg_name="many", queue_name="%PREFIX%-{kind}", connection=STORAGE)
def orders(order: func.QueueMessage, many: func.Out[typing.List[str]]) -> None:
    many.set([str(number) for number in order.get_json()["numbers"]])

@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-bad", connection=STORAGE)
def bad(message: func.QueueMessage) -> None:
    logging.info("bad, for the time %s", message.dequeue_count)
    raise ValueError("bad")

@app.queue_trigger(arg_name="message", queue_name="%PREFIX%-kill", connection=STORAGE)
@app.queue_output(arg_name="$return", queue_name="%PREFIX%-out", connection=STORAGE)
def kill(message: func.QueueMessage) -> str:
    if message.dequeue_count == 1:
        logging.info("began pid %s", os.getpid())
        time.sleep(60)
    return f"survived, for the time {message.dequeue_count}"

@app.route(route="send/{name}")
@app.queue_output(arg_name="out", queue_name="%PREFIX%-{name}", connection=STORAGE)
def send(req: func.HttpRequest, out: func.Out[func.QueueMessage]) -> str:
    out.set(func.QueueMessage(body=req.get_body()))
    return "sent"

@app.route(route="too_large")
@app.queue_output(arg_name="out", queue_name="%PREFIX%-out", connection=STORAGE)
def too_large(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set("x" * 70_000)
    return "sent"
"""


@pytest.fixture(scope="module")
def prefix() -> str:
    return unique("q")


@pytest.fixture(scope="module")
def host(azurite: Azurite, prefix: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    settings = azurite.settings
    settings["Values"]["PREFIX"] = prefix
    folder = write_app(tmp_path_factory.mktemp("queues"), {"function_app.py": APP, "local.settings.json": settings})
    with running_host(folder) as host:
        yield host


def test_a_message_with_all_that_is_known_of_it(host: RunningHost, azurite: Azurite, prefix: str) -> None:
    azurite.queue(f"{prefix}-in").send_message("größer")
    (told,) = azurite.received(f"{prefix}-told", 1)
    assert json.loads(told) == {"body": "größer", "count": 1, "id": True, "receipt": True, "lives": 7, "next": True}
    executing = host.wait_for(rf"Executing 'Functions.tell' \(Reason='New queue message detected on '{prefix}-in'.'")
    assert executing
    host.wait_for(r"Trigger Details: MessageId: [0-9a-f-]{36}, DequeueCount: 1, InsertedOn: 2")
    wait_until(lambda: azurite.length(f"{prefix}-in") == 0, "the message is deleted")


def test_text_and_bytes(host: RunningHost, azurite: Azurite, prefix: str) -> None:
    azurite.queue(f"{prefix}-text").send_message("ünicode")
    azurite.queue(f"{prefix}-bytes").send_message("data")
    assert azurite.received(f"{prefix}-out", 2) == ["bytes: data", "str: ünicode"]


def test_a_list_becomes_several_messages_of_the_queue_that_the_trigger_names(
    host: RunningHost, azurite: Azurite, prefix: str
) -> None:
    azurite.queue(f"{prefix}-orders").send_message(json.dumps({"kind": "fast", "numbers": [3, 1, 2]}))
    assert azurite.received(f"{prefix}-fast", 3) == ["1", "2", "3"]


def test_an_http_function_answers_when_its_message_is_in_the_queue(
    host: RunningHost, azurite: Azurite, prefix: str
) -> None:
    assert host.request("POST", "/api/send/by-http", b"over there").text == "sent"
    assert azurite.length(f"{prefix}-by-http") == 1
    assert azurite.received(f"{prefix}-by-http", 1) == ["over there"]


def test_an_output_that_cannot_be_delivered_fails_the_function(host: RunningHost) -> None:
    answer = host.get("/api/too_large")
    assert answer.status == 500
    assert "a message has 93336 bytes as it is sent; a queue takes 65536" in answer.text
    host.wait_for(r"Executed 'Functions.too_large' \(Failed,")


def test_a_message_that_fails_five_times_goes_to_the_poison_queue(
    host: RunningHost, azurite: Azurite, prefix: str
) -> None:
    azurite.queue(f"{prefix}-bad").send_message("poison")
    assert azurite.received(f"{prefix}-bad-poison", 1) == ["poison"]
    wait_until(lambda: azurite.length(f"{prefix}-bad") == 0, "the message is deleted")
    assert [f"for the time {count}" in host.console for count in range(1, 7)] == [True] * 5 + [False]
    host.wait_for(rf"A message of {prefix}-bad has failed 5 times; it is moved to the queue {prefix}-bad-poison.")


def test_a_message_that_is_no_base64_goes_there_at_once(host: RunningHost, azurite: Azurite, prefix: str) -> None:
    azurite.queue(f"{prefix}-bad", base64=False).send_message("no base64!")
    assert azurite.received(f"{prefix}-bad-poison", 1, base64=False) == ["no base64!"]
    host.wait_for(r"cannot be read: it is no base64 .*; set \"messageEncoding\" to \"none\" in host.json")


@pytest.mark.skipif(os.name != "posix", reason="a signal kills the worker")
def test_a_message_whose_worker_is_killed_comes_again(host: RunningHost, azurite: Azurite, prefix: str) -> None:
    azurite.queue(f"{prefix}-kill").send_message("x")
    began = host.wait_for(r"began pid (\d+)")
    os.kill(int(began[1]), signal.SIGKILL)
    assert azurite.received(f"{prefix}-out", 1) == ["survived, for the time 2"]
    wait_until(lambda: azurite.length(f"{prefix}-kill") == 0, "the message is deleted")


THREADS = {"PYTHON_THREADPOOL_THREAD_COUNT": "10"}
LIMITED = """
import azure.functions as func, logging, threading, time

app = func.FunctionApp()
lock, running = threading.Lock(), 0

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="Other")
def limited(message: str) -> None:
    global running
    with lock:
        running += 1
        logging.info("running %s", running)
    time.sleep(0.1)
    with lock:
        running -= 1
    if message == "bad":
        raise ValueError(message)

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="Missing")
def unconnected(message: str) -> None:
    pass

@app.queue_trigger(arg_name="message", queue_name="UPPER_case", connection="Other")
def misnamed(message: str) -> None:
    pass
"""


def test_host_json_limits_batches_dequeues_and_encoding(azurite: Azurite, tmp_path: Path) -> None:
    name = unique("limited")
    options = {"batchSize": 2, "newBatchThreshold": 1, "maxDequeueCount": 2, "messageEncoding": "none"}
    options |= {"visibilityTimeout": "00:00:01", "maxPollingInterval": "00:00:00.2"}
    files: dict[str, Any] = {
        "function_app.py": LIMITED,
        "host.json": {"version": "2.0", "extensions": {"queues": options}},
        "local.settings.json": {"Values": {"QUEUE": name, "AzureWebJobsOther": azurite.connection}},
    }
    queue = azurite.queue(name, base64=False)
    for number in range(9):
        queue.send_message(f"no base64 {number}")
    queue.send_message("bad")
    with running_host(write_app(tmp_path, files), environ=THREADS, ready="limited: queueTrigger") as host:
        assert azurite.received(f"{name}-poison", 1, base64=False) == ["bad"]
        wait_until(lambda: azurite.length(name) == 0, "all messages are handled")
        most = max(int(line.rpartition(" ")[2]) for line in host.lines if "running " in line)
        assert most <= 3  # batchSize + newBatchThreshold
        assert "it uses the storage connection Missing, and there is no setting of that name" in host.console
        assert "the queueName of its trigger is 'upper_case'" in host.console


def test_storage_that_is_not_there_is_told_once_and_waited_for(tmp_path: Path) -> None:
    files: dict[str, Any] = {
        "function_app.py": LIMITED,
        "local.settings.json": {"Values": {"QUEUE": "some", "Other": "UseDevelopmentStorage=true"}},
        "host.json": {"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:00.1"}}},
    }
    connection = "AccountName=a;AccountKey=eA==;QueueEndpoint=http://127.0.0.1:9/a"  # nobody listens there
    with running_host(write_app(tmp_path, files), environ={"Other": connection}, ready="limited: queue") as host:
        host.wait_for(r"The queue some cannot be read: .*")
        host.wait_for(r"Is the storage emulator running\? Start it with:  azurite")
        host.stop()
        assert host.console.count("cannot be read") == 1
