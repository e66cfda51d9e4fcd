"""The extension in a real worker process: an app served by ``worker-ext``, called over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

requests = pytest.importorskip("requests")
pytest.importorskip("opencensus.ext.azure")
pytest.importorskip("opencensus.ext.requests")

ROOT = Path(__file__).resolve().parents[1]
REPOSITORY = ROOT.parents[1]

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not (REPOSITORY / "worker_ext").is_dir() or find_spec("httptools") is None,
    reason="takes the local host of worker-ext, and signals to end it",
)

APP = """
import asyncio

import azure.functions as func
import requests
from python_worker_extension_telemetry import OpenCensusExtension

OpenCensusExtension.configure(libraries=["requests"])
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="OnThread")
def OnThread(req: func.HttpRequest, context: func.Context) -> str:
    with context.tracer.span("in OnThread"):
        return requests.get(req.params["url"], timeout=10).reason


@app.route(route="OnLoop")
async def OnLoop(req: func.HttpRequest, context: func.Context) -> str:
    with context.tracer.span("in OnLoop"):
        response = await asyncio.to_thread(requests.get, req.params["url"], timeout=10)
    return response.reason


@app.route(route="Fails")
def Fails(req: func.HttpRequest, context: func.Context) -> str:
    context.tracer.start_span("open")
    raise LookupError("the function failed")
"""


@pytest.fixture
def host(collector, tmp_path: Path) -> Iterator[subprocess.Popen]:
    """The local host with the app above, sending to the collector. ``host.url`` is where it listens."""
    values = {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "PYTHON_ENABLE_WORKER_EXTENSIONS": "1",
        "PYTHON_THREADPOOL_THREAD_COUNT": "1",
        "APPLICATIONINSIGHTS_CONNECTION_STRING": collector.connection_string,
    }
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP, encoding="utf-8")
    (app / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")
    (app / "local.settings.json").write_text(json.dumps({"IsEncrypted": False, "Values": values}), encoding="utf-8")
    command = [sys.executable, "-m", "worker_ext", "host", "start", "--port", "0", "--script-root", str(app)]
    path = os.pathsep.join([str(REPOSITORY), str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True, env=environment)
    output = []
    try:
        for line in process.stdout:
            output.append(line)
            name, _, url = line.strip().partition(": ")
            if name == "OnThread":
                process.url = url.removesuffix("/OnThread")
                break
            if "No functions" in line:
                pytest.fail("".join(output))
        yield process
    finally:
        process.kill()
        process.communicate()


def by_number(telemetry):
    """What each call left, by its number, which is its trace's id as well."""
    return {int(item.trace, 16): item for item in telemetry}


def test_from_the_caller_through_the_function_to_the_called_service(host, collector, downstream):
    def call(number):
        name = ("OnThread", "OnLoop", "Fails")[number % 3]
        headers = {"traceparent": f"00-{number:032x}-{number:016x}-01"}
        response = requests.get(f"{host.url}/{name}?url={downstream.url}/{number}", headers=headers, timeout=30)
        assert response.status_code == (500 if name == "Fails" else 200), response.text
        return name

    with ThreadPoolExecutor(6) as callers:
        called = dict(enumerate(callers.map(call, range(1, 25)), start=1))
    host.send_signal(signal.SIGINT)
    output, _ = host.communicate(timeout=30)

    invocations = by_number(collector.telemetry("RequestData"))
    dependencies = collector.telemetry("RemoteDependencyData")
    spans = by_number(item for item in dependencies if item.data["type"] == "INPROC")
    calls = by_number(item for item in dependencies if item.data["type"] == "HTTP")
    headers = {int(headers["traceparent"][3:35], 16): headers["traceparent"] for headers, _ in downstream.requests}
    succeeded = [number for number, name in called.items() if name != "Fails"]
    assert sorted(headers) == sorted(calls) == succeeded, output
    assert sorted(spans) == sorted(called)  # that of a function that failed was open until then
    for number in succeeded:
        invocation, span, call = invocations.pop(number), spans[number], calls[number]
        assert invocation.name == called[number]
        assert (invocation.parent, span.parent, call.parent) == (f"{number:016x}", invocation.id, span.id)
        assert headers[number] == f"00-{number:032x}-{call.id}-01"
    # Those that are left have failed, and this worker tells extensions of it.
    assert sorted(invocations) == [number for number, name in called.items() if name == "Fails"]
    assert {item.data["properties"]["outcome"] for item in invocations.values()} == {"failure"}
    assert {item.data["properties"]["error.message"] for item in invocations.values()} == {"the function failed"}
