"""What reaches a collector, from a worker process of a real host, over OTLP and HTTP."""

from __future__ import annotations

import gzip
import json
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from support.hosting import running_host, wait_until, write_app

from .conftest import APP

MESSAGES = {
    "/v1/traces": ExportTraceServiceRequest,
    "/v1/metrics": ExportMetricsServiceRequest,
    "/v1/logs": ExportLogsServiceRequest,
}
TRACE, PARENT = f"{7:032x}", f"{9:016x}"
INCOMING = {"traceparent": f"00-{TRACE}-{PARENT}-01", "baggage": "user=ada"}


class Collector:
    """An OTLP end point on loopback."""

    def __init__(self):
        self.requests = defaultdict(list)  # path → decoded messages
        self.headers = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.requests[self.path].append(MESSAGES[self.path].FromString(body))
                collector.headers.append(dict(self.headers))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def spans(self):
        found = [r for message in self.requests["/v1/traces"] for r in message.resource_spans]
        return {span.name: span for resource in found for scope in resource.scope_spans for span in scope.spans}

    @property
    def metrics(self):
        found = [r for message in self.requests["/v1/metrics"] for r in message.resource_metrics]
        return {metric.name for resource in found for scope in resource.scope_metrics for metric in scope.metrics}

    @property
    def logs(self):
        found = [r for message in self.requests["/v1/logs"] for r in message.resource_logs]
        return [record for resource in found for scope in resource.scope_logs for record in scope.log_records]

    @property
    def resource(self):
        (found, *_) = self.requests["/v1/traces"][0].resource_spans
        return attributes(found.resource.attributes)


def attributes(pairs: list[KeyValue]):
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()


@pytest.fixture
def app(tmp_path: Path):
    return write_app(tmp_path / "shop", {"function_app.py": APP})


def settings(**own: str) -> dict[str, str]:
    return {"PYTHON_ENABLE_WORKER_EXTENSIONS": "1", **own}


def test_all_three_signals_arrive_when_the_worker_ends_at_the_latest(app, collector):
    environ = settings(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-key=secret",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    with running_host(app, environ=environ) as host:
        told = {path: host.get(f"/api/{path}", INCOMING).json() for path in ("sync", "async", "thread")}
        assert host.get("/api/fail").status == 500
    assert collector.spans.keys() == {"sync", "run_async", "thread", "fail"}
    for path, name in {"sync": "sync", "async": "run_async", "thread": "thread"}.items():
        span = collector.spans[name]
        assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, PARENT)
        assert told[path]["traceparent"] == f"00-{TRACE}-{span.span_id.hex()}-01"
        assert told[path]["user"] == "ada"
        assert attributes(span.attributes)["faas.trigger"] == "http"
    assert collector.spans["fail"].status.message == "LookupError: nothing there"
    assert collector.resource["service.name"] == "shop"
    assert collector.resource["deployment.environment.name"] == "test"
    assert {"faas.invocations", "faas.errors", "faas.invoke_duration", "worker_ext.hook.duration"} <= collector.metrics
    lines = {record.body.string_value: record for record in collector.logs}
    assert lines["a line"].span_id == collector.spans["sync"].span_id
    assert lines["from the thread"].trace_id.hex() == TRACE
    assert all(headers["x-key"] == "secret" for headers in collector.headers)


def test_spans_do_not_wait_for_the_end(app, collector):
    with running_host(
        app, environ=settings(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="50")
    ) as host:
        host.get("/api/sync")
        wait_until(lambda: collector.spans, "a span at the collector")


def test_one_signal_alone(app, collector):
    environ = settings(
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_METRICS_EXPORTER="none", OTEL_LOGS_EXPORTER="none"
    )
    with running_host(app, environ=environ) as host:
        host.get("/api/sync")
    assert collector.requests.keys() == {"/v1/traces"}


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "carrier-pigeon"}, "OTEL_TRACES_EXPORTER names the exporter 'carrier-pigeon'"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'smoke'",
        ),
    ],
)
def test_a_setting_that_is_wrong_is_told_once_and_costs_no_function(app, own, said):
    with running_host(app, environ=settings(**own)) as host:
        host.wait_for("Nothing is reported: " + said)
        assert host.get("/api/sync").status == host.get("/api/async").status == 200
        assert host.console.count("Nothing is reported") == 1


@pytest.mark.parametrize("own", [{}, {"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "console"}])
def test_with_nowhere_to_send_to_functions_run_all_the_same(app, own):
    with running_host(app, environ=settings(**own)) as host:
        told = json.loads(host.get("/api/sync", INCOMING).text)
        assert told["user"] == "ada"
        assert '"name": "sync"' not in host.console
