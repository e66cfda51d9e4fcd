"""Hosts that send nonsense, too much, or nothing any more."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import wait
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.hosting import write_app

from worker_ext.testing.rpc_host import RpcHost, messages

APP = """
import asyncio, time
import azure.functions as func

app = func.FunctionApp()

@app.route(route="echo")
def echo(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(req.get_body())

@app.route(route="sized")
async def sized(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"x" * int(req.params["size"]))

@app.route(route="gate")
async def gate(req: func.HttpRequest) -> str:
    if req.method == "POST":
        opened.set()
    await opened.wait()
    return "through"

opened = asyncio.Event()

@app.route(route="blocks")
async def blocks(req: func.HttpRequest) -> str:
    print("blocking", flush=True)
    await asyncio.sleep(0.2)
    time.sleep(3600)

@app.route(route="chatters")
def chatters(req: func.HttpRequest) -> str:
    for number in range(2_000):
        print("x" * 100_000)
    return "said"
"""

REQUEST = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))


@pytest.fixture
def host(make_host) -> RpcHost:
    return make_host({"function_app.py": APP})


def echoes(host: RpcHost) -> bool:
    return host.http("echo", body=b"still here").return_value.http.body.bytes == b"still here"


def resident_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))) / 1024


# Nonsense


def test_bytes_that_are_no_message_are_logged(host):
    host.send_bytes(b"\xff\xff\xff\xff")
    host.send_bytes(b"")
    host.send_bytes(messages.StreamingMessage(request_id="x").SerializeToString())
    host.send(worker_init_response=messages.WorkerInitResponse())  # which only a worker sends
    host.wait_until(lambda: sum("the host sent" in line for line in host.lines()) >= 4)
    assert any("4 bytes that are no message" in line for line in host.lines())
    assert any("worker_init_response" in line for line in host.lines())
    assert echoes(host)


def test_fields_and_messages_of_newer_hosts_are_tolerated(host):
    unknown = b"\xfa\x3e\x03new"  # field 1007
    host.send_bytes(unknown)
    request = messages.InvocationRequest(invocation_id="newer", function_id=host.functions["echo"])
    request.input_data.add(name="req", data=REQUEST)
    message = messages.StreamingMessage(request_id="r", invocation_request=request)
    host.send_bytes(message.SerializeToString() + unknown)
    response = host.receive("invocation_response").invocation_response
    assert response.result.status == messages.StatusResult.Success


@given(data=st.binary(max_size=200))
@settings(max_examples=100)
def test_any_bytes_are_survived(data, nonsense_host):
    nonsense_host.send_bytes(data)


@pytest.fixture(scope="module")
def nonsense_host(tmp_path_factory: pytest.TempPathFactory):
    with RpcHost(write_app(tmp_path_factory.mktemp("nonsense"), {"function_app.py": APP})) as host:
        host.start()
        yield host
        assert echoes(host)


@given(
    request=st.builds(
        messages.InvocationRequest,
        invocation_id=st.text(max_size=5),
        function_id=st.text(max_size=5),
        input_data=st.lists(st.builds(messages.ParameterBinding, name=st.text(max_size=5)), max_size=3),
    )
)
@settings(max_examples=50)
def test_every_request_is_answered(request, nonsense_host):
    assert nonsense_host.submit(request).result(20).result.status == messages.StatusResult.Failure


def test_load_requests_of_nothing_are_answered(host):
    response = host.request("function_load_response", function_load_request=messages.FunctionLoadRequest())
    assert response.result.status == messages.StatusResult.Failure
    assert echoes(host)


# Much


def test_bodies_of_100_megabytes(host):
    size = 100 * 1024 * 1024
    body = os.urandom(1024) * (size // 1024)
    assert host.http("echo", body=body).return_value.http.body.bytes == body


def test_ten_thousand_invocations_in_flight(host):
    running = [host.invoke("gate", {"req": REQUEST}) for _ in range(10_000)]
    sync = [host.invoke("echo", {"req": REQUEST}) for _ in range(2_000)]
    assert not wait(sync, 60).not_done  # they do not wait for the others
    assert host.http("gate", method="POST").return_value.string == "through"
    assert not wait(running, 60).not_done
    assert {future.result().return_value.string for future in running} == {"through"}
    assert echoes(host)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="memory is read from /proc")
def test_a_host_that_stops_reading_bounds_the_workers_memory(host):
    before = resident_megabytes(host.process.pid)
    host.stop_reading()
    chatting = [host.invoke("chatters", {"req": REQUEST}) for _ in range(2)]  # 400 MB of lines
    sizes = messages.RpcHttp(method="GET", url="http://localhost/", query={"size": "1000000"})
    large = [host.invoke("sized", {"req": messages.TypedData(http=sizes)}) for _ in range(100)]
    deadline = time.monotonic() + 60
    cpu = -1.0
    while cpu != (cpu := _cpu(host.process.pid)):  # until it has nothing more to do
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert resident_megabytes(host.process.pid) - before < 450
    host.go_on_reading()
    for future in (*chatting, *large):
        assert future.result(60).result.status == messages.StatusResult.Success
    host.wait_until(lambda: any("left out, because the host did not read" in line for line in host.lines()))


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return float(fields[11]) + float(fields[12])


# Nothing any more


LONELY = """
import sys
from worker_ext.testing.rpc_host import RpcHost, messages

with RpcHost(sys.argv[1]) as host:
    host.start()
    print(host.process.pid, flush=True)
    if len(sys.argv) > 2:
        data = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))
        host.invoke(sys.argv[2], {"req": data}, invocation_id="it")
        host.wait_until(lambda: "blocking" in host.lines("it"))
        print("blocking", flush=True)
    host.process.wait()
"""


@pytest.mark.parametrize("function", ["", "blocks"], ids=["idle", "its loop blocked by user code"])
def test_a_worker_ends_within_a_second_of_a_killed_host(tmp_path, function):
    folder = write_app(tmp_path, {"function_app.py": APP})
    words = [sys.executable, "-c", LONELY, str(folder), *filter(None, [function])]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as lonely:
        assert lonely.stdout is not None
        pid = int(lonely.stdout.readline())
        if function:
            assert lonely.stdout.readline() == "blocking\n"
            time.sleep(0.5)  # by now its loop is blocked; were it not, the test would still be right
        lonely.kill()
        lonely.wait()
        begun = time.monotonic()
        while _runs(pid):
            assert time.monotonic() - begun < 4  # one second, and more for a busy machine
            time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"
