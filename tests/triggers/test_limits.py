"""Limits of concurrency, and what several worker processes mean for order and number."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.azurite import Azurite, unique
from support.hosting import RunningHost, running_host, wait_until, write_app

HTTP = """
import asyncio, os, time
from pathlib import Path
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HERE = Path(__file__).parent

@app.route(route="hold/{name}")
async def hold(req: func.HttpRequest) -> str:
    name = req.route_params["name"]
    (HERE / f"{name}.begun").touch()
    while not (HERE / f"{name}.end").exists():
        await asyncio.sleep(0.01)
    return name
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    limits = {"maxConcurrentRequests": 2, "maxOutstandingRequests": 4}
    host = {"version": "2.0", "extensions": {"http": limits}}
    return write_app(tmp_path, {"function_app.py": HTTP, "host.json": host})


@pytest.fixture
def host(folder: Path) -> Iterator[RunningHost]:
    with running_host(folder) as host:
        yield host


def begun(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.begun")}


def end(folder: Path, *names: str) -> None:
    for name in names:
        (folder / f"{name}.end").touch()


def send(host: RunningHost, name: str) -> socket.socket:
    """Send a request and go on without its answer; the host has received it."""
    connection = host.connect()
    connection.sendall(f"GET /api/hold/{name} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n".encode())
    catch_up(host)
    return connection


def catch_up(host: RunningHost) -> None:
    """Wait until the host has read what has been sent so far: it reads what came before what came later."""
    assert host.get("/api/none").status == 404


def answer(connection: socket.socket) -> bytes:
    with connection:
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_requests_beyond_the_limit_wait_in_order_and_those_beyond_the_next_are_refused(
    host: RunningHost, folder: Path
) -> None:
    waiting = {name: send(host, name) for name in ("a", "b", "gone", "c")}
    assert host.get("/api/hold/refused").status == 429
    waiting.pop("gone").close()
    catch_up(host)
    waiting["d"] = send(host, "d")  # who leaves makes room
    assert host.get("/api/hold/refused").status == 429
    assert begun(folder) <= {"a", "b"}
    end(folder, "a")
    wait_until(lambda: begun(folder) == {"a", "b", "c"}, "the next one that waits runs")
    end(folder, "b", "c", "d")
    for name, connection in waiting.items():
        assert answer(connection).endswith(b"\r\n\r\n" + name.encode())
    assert begun(folder) == {"a", "b", "c", "d"}


ORDERED = """
import json, os
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="$return", queue_name="%QUEUE%-done", connection="AzureWebJobsStorage")
def handle(message: func.QueueMessage) -> str:
    return json.dumps({"number": message.get_json(), "pid": os.getpid()})
"""


def run_messages(azurite: Azurite, folder: Path, *, processes: int, batch: int, count: int) -> list[dict[str, Any]]:
    """Have a host handle so many messages; what it wrote, in that order."""
    name = unique("ordered")
    settings = azurite.settings
    settings["Values"] |= {"QUEUE": name, "FUNCTIONS_WORKER_PROCESS_COUNT": str(processes)}
    options = {"queues": {"batchSize": batch, "newBatchThreshold": 0}}
    host_json = {"version": "2.0", "extensions": options}
    files = {"function_app.py": ORDERED, "local.settings.json": settings, "host.json": host_json}
    queue = azurite.queue(name)
    for number in range(count):
        queue.send_message(json.dumps(number))
    with running_host(write_app(folder, files), ready="handle: queueTrigger"):
        wait_until(lambda: azurite.length(f"{name}-done") == count, f"{count} messages are handled")
    done = azurite.queue(f"{name}-done")
    return [json.loads(message.content) for message in done.receive_messages(messages_per_page=32)]


def test_messages_come_one_after_the_other_if_batches_have_one(azurite: Azurite, tmp_path: Path) -> None:
    found = run_messages(azurite, tmp_path, processes=2, batch=1, count=12)
    assert [message["number"] for message in found] == list(range(12))


def test_several_processes_share_the_messages_and_each_runs_once(azurite: Azurite, tmp_path: Path) -> None:
    found = run_messages(azurite, tmp_path, processes=2, batch=16, count=64)
    assert sorted(message["number"] for message in found) == list(range(64))
    assert len({message["pid"] for message in found}) == 2
