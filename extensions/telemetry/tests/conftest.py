"""The extension as a worker sees it, and servers on this machine for what it talks to."""

from __future__ import annotations

import gzip
import importlib
import json
import logging
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.functions import ExtensionMeta

ROOT = Path(__file__).resolve().parents[1]
MODULE = "python_worker_extension_telemetry"
IKEY = "00000000-0000-0000-0000-0123456789ab"

if find_spec("opencensus") is None:  # this part of the repository has dependencies of its own
    collect_ignore_glob = ["test_[!p]*.py"]  # all but the packaging, which needs none of them
else:
    from opencensus.trace import execution_context


class Worker:
    """Runs functions with the registered hooks around them, in the order of the stock worker.

    :ivar tells_errors: whether it calls ``on_invocation_error_app_level``, which the stock worker does not.
    """

    def __init__(self) -> None:
        self.extension = importlib.import_module(MODULE).OpenCensusExtension
        self.logger = logging.getLogger("telemetry tests")
        self.logger.setLevel(logging.INFO)
        self.tells_errors = False

    def invoke(self, function, context=None):
        context = context or Context()
        self._run("pre_invocation_app_level", context, {})
        try:
            result = function(context)
        except BaseException as error:
            self._fail(context, error)
            raise
        self._run("post_invocation_app_level", context, {}, result)
        return result

    async def invoke_async(self, function, context=None):
        context = context or Context()
        self._run("pre_invocation_app_level", context, {})
        try:
            result = await function(context)
        except BaseException as error:
            self._fail(context, error)
            raise
        self._run("post_invocation_app_level", context, {}, result)
        return result

    def load(self, name="HttpTrigger"):
        for hook in ExtensionMeta.get_application_hooks().post_function_load_app_level:
            hook.ext_impl(name, "a folder")

    def _run(self, name, context, *arguments):
        for hook in getattr(ExtensionMeta.get_application_hooks(), name):
            hook.ext_impl(self.logger, context, *arguments)

    def _fail(self, context, error):
        if self.tells_errors:
            self.extension.on_invocation_error_app_level(self.logger, context, {}, error)


class Context:
    """What the extension uses of a context, and that any attribute can be set on it."""

    def __init__(self, name="HttpTrigger", invocation_id="1", trace_parent=None, trace_state=None) -> None:
        self.function_name = name
        self.invocation_id = invocation_id
        self.trace_context = SimpleNamespace(trace_parent=trace_parent, trace_state=trace_state)


@dataclass
class Recorder:
    """An exporter that keeps what it is given."""

    spans: list = field(default_factory=list)

    def export(self, spans):
        self.spans += spans

    def __getitem__(self, name):
        (span,) = [span for span in self.spans if span.name == name]
        return span


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that has just imported the extension, which no other test has imported or configured."""
    # azure-functions keeps its registry in class attributes and offers no way to begin anew.
    monkeypatch.setattr(ExtensionMeta, "_app_exts", None)
    monkeypatch.setattr(ExtensionMeta, "_info", {})
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delenv("APPLICATIONINSIGHTS_CONNECTION_STRING", raising=False)
    _forget_the_package()
    worker = Worker()
    yield worker
    monkeypatch.delenv("APPLICATIONINSIGHTS_CONNECTION_STRING", raising=False)
    stop = getattr(worker.extension._exporter, "_stop", None)
    if stop:  # an AzureExporter would go on trying to send what it has kept, and log that it cannot
        stop(1)
    worker.extension.configure()  # ends the thread of whatever exporter the test has used
    execution_context.clear()
    _forget_the_package()


def _forget_the_package() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == MODULE]:
        del sys.modules[name]


@pytest.fixture
def recorder(worker: Worker) -> Recorder:
    recorder = Recorder()
    worker.extension.configure(exporter=recorder)
    return recorder


class Server(ThreadingHTTPServer):
    """A HTTP server on a free loopback port that keeps the requests it gets.

    :ivar requests: headers and body of each.
    :ivar arrived: set by the first request.
    :ivar answering: requests are answered only while this is set.
    """

    daemon_threads = True

    def __init__(self) -> None:
        # A class of its own, because opencensus-ext-azure wraps the methods of a handler anew for each server.
        super().__init__(("127.0.0.1", 0), type("Handler", (_Handler,), {}))
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.arrived = threading.Event()
        self.answering = threading.Event()
        self.answering.set()

    def handle_error(self, *args):
        """Clients that do not wait for an answer are what some tests are about."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self):
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.requests.append((headers, self.rfile.read(int(headers.get("content-length", 0)))))
        self.server.arrived.set()
        self.server.answering.wait()
        answer = b"{}"
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST

    def log_message(self, *args):
        pass


class Collector(Server):
    """Takes what an Azure exporter sends, as Application Insights does."""

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={IKEY};IngestionEndpoint={self.url}"

    def telemetry(self, kind: str) -> list[SimpleNamespace]:
        """All items of a kind that have arrived: name, id, trace, parent, data."""
        found = []
        for headers, body in self.requests:
            text = gzip.decompress(body) if headers.get("content-encoding") == "gzip" else body
            for envelope in json.loads(text):
                data, tags = envelope["data"]["baseData"], envelope["tags"]
                if envelope["data"]["baseType"] == kind:
                    assert envelope["iKey"] == IKEY
                    item = SimpleNamespace(name=data.get("name"), id=data.get("id"), data=data, tags=tags)
                    item.trace, item.parent = tags["ai.operation.id"], tags.get("ai.operation.parentId")
                    found.append(item)
        return found


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.answering.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    # What cannot be sent is kept below the folder for temporary files: here, and in processes that a test starts.
    storage = tmp_path / "storage"
    storage.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(storage))
    monkeypatch.setenv("TMPDIR", str(storage))
    with serving(Collector()) as server:
        yield server


@pytest.fixture
def downstream() -> Iterator[Server]:
    """A service that functions call."""
    with serving(Server()) as server:
        yield server


@pytest.fixture
def context() -> type[Context]:
    """Makes contexts of invocations."""
    return Context
