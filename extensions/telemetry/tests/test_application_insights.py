"""Application Insights, played by a HTTP server on this machine: what arrives there, and what if it does not answer."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.functions import HttpResponse
from opencensus.trace import config_integration, integrations

requests = pytest.importorskip("requests")
pytest.importorskip("opencensus.ext.azure")
pytest.importorskip("opencensus.ext.requests")

ROOT = Path(__file__).resolve().parents[1]
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
SETTING = "APPLICATIONINSIGHTS_CONNECTION_STRING"


@pytest.fixture(autouse=True)
def integration_undone(monkeypatch):
    """Integrating a library changes it for the whole process: change it back after each test."""
    monkeypatch.setattr(requests.Session, "request", requests.Session.request)
    monkeypatch.setattr(integrations, "_INTEGRATIONS_BIT_MASK", 0)


@pytest.fixture
def dead_connection_string(collector):
    """Of a collector that is gone: nobody listens on its port."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield collector.connection_string.replace(str(collector.server_port), str(reserved.getsockname()[1]))


class TestWhatArrives:
    def test_the_chain_from_the_trigger_to_the_called_service(self, worker, collector, downstream, context):
        worker.extension.configure(libraries=["requests"], connection_string=collector.connection_string)

        def function(context):
            with context.tracer.span("look up"):
                requests.get(f"{downstream.url}/prices", timeout=10)
            return HttpResponse(status_code=201)

        worker.invoke(function, context("Shop", "an-id", TRACEPARENT))
        assert worker.extension.flush()

        (invocation,) = collector.telemetry("RequestData")
        dependencies = {item.name: item for item in collector.telemetry("RemoteDependencyData")}
        inner, call = dependencies.pop("look up"), dependencies.pop("GET /prices")
        assert not dependencies  # in particular not the requests to the collector itself
        assert (invocation.parent, inner.parent, call.parent) == (PARENT, invocation.id, inner.id)
        assert {invocation.trace, inner.trace, call.trace} == {TRACE}
        ((headers, _),) = downstream.requests
        assert headers["traceparent"] == f"00-{TRACE}-{call.id}-01"

        assert invocation.name == invocation.tags["ai.operation.name"] == "Shop"
        assert invocation.data["success"] is True
        assert invocation.data["responseCode"] == "201"
        properties = {"faas.name": "Shop", "faas.invocation_id": "an-id", "outcome": "success"}
        assert invocation.data["properties"] == properties
        assert call.data["success"] is True

    def test_a_failure(self, worker, collector, context):
        worker.tells_errors = True
        worker.extension.configure(connection_string=collector.connection_string)

        with pytest.raises(ZeroDivisionError):
            worker.invoke(lambda _: 1 / 0, context("Shop", trace_parent=TRACEPARENT))
        assert worker.extension.flush()

        (invocation,) = collector.telemetry("RequestData")
        assert (invocation.name, invocation.data["success"]) == ("Shop", False)
        (exception,) = collector.telemetry("ExceptionData")
        assert exception.data["exceptions"][0]["typeName"] == "ZeroDivisionError"
        assert exception.data["exceptions"][0]["message"] == "division by zero"
        assert exception.trace == TRACE

    def test_the_apps_name_on_azure(self, worker, collector, monkeypatch):
        monkeypatch.setenv("WEBSITE_SITE_NAME", "shop-prod")
        worker.extension.configure(connection_string=collector.connection_string)
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        (invocation,) = collector.telemetry("RequestData")
        assert invocation.tags["ai.cloud.role"] == "shop-prod"

    def test_of_an_app_that_never_calls_configure(self, worker, collector, monkeypatch):
        monkeypatch.setenv(SETTING, collector.connection_string)
        worker.load()
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        assert len(collector.telemetry("RequestData")) == 1

    @pytest.mark.parametrize("wrong", ["InstrumentationKey=", "InstrumentationKey=k", "nonsense", "Unknown=1"])
    def test_a_connection_string_that_is_wrong_leaves_nothing_behind(self, worker, wrong):
        before = set(threading.enumerate())
        with pytest.raises(ValueError, match="connection_string is not a connection string of Application Insights"):
            worker.extension.configure(connection_string=wrong)
        assert set(threading.enumerate()) <= before

    def test_with_a_connection_string_that_was_copied_sloppily(self, worker, collector):
        worker.extension.configure(connection_string=f" {collector.connection_string};\n")
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        assert len(collector.telemetry("RequestData")) == 1

    def test_of_an_exporter_that_the_app_has_made(self, worker, collector, monkeypatch):
        monkeypatch.setenv("APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL", "true")
        from opencensus.ext.azure.trace_exporter import AzureExporter

        exporter = AzureExporter(
            connection_string=collector.connection_string, enable_local_storage=False, export_interval=0.01
        )
        worker.extension.configure(exporter=exporter)
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        assert collector.arrived.wait(10)

    def test_nothing_about_the_use_of_the_sdk(self, worker, collector):
        from opencensus.ext.azure.statsbeat import statsbeat

        worker.extension.configure(connection_string=collector.connection_string)
        assert statsbeat._STATSBEAT_EXPORTER is None
        assert collector.requests == []


class TestCodeForTheOpenCensusExtensionOfAzure:
    """Code for ``opencensus-extension-azure-functions`` runs as it is, but for the import."""

    def invoke(self, worker, main, downstream):
        request = SimpleNamespace(method="GET", url=f"{downstream.url}/")
        context = SimpleNamespace(
            function_name="HttpTrigger",
            function_directory="a folder",
            invocation_id="an-id",
            trace_context=SimpleNamespace(Traceparent=TRACEPARENT, Tracestate=""),
        )
        return worker.invoke(lambda context: main(request, context), context)

    def assert_traced(self, worker, collector):
        assert worker.extension.flush()
        (invocation,) = collector.telemetry("RequestData")
        dependencies = {item.name: item for item in collector.telemetry("RemoteDependencyData")}
        assert dependencies["parent"].parent == invocation.id
        assert dependencies["GET /"].parent == dependencies["parent"].id
        assert invocation.parent == PARENT

    @pytest.mark.parametrize("by", ["argument", "setting"])
    def test_that_integrates_libraries_itself(self, worker, collector, downstream, monkeypatch, by):
        OpenCensusExtension = worker.extension
        config_integration.trace_integrations(["requests"])
        if by == "argument":
            OpenCensusExtension.configure(connection_string=collector.connection_string)
        else:
            monkeypatch.setenv(SETTING, collector.connection_string)
            OpenCensusExtension.configure()

        def main(req, context):
            with context.tracer.span("parent"):
                response = requests.get(url=req.url, timeout=10)
            return response.status_code, context.trace_context.Traceparent, context.trace_context.Tracestate

        assert self.invoke(worker, main, downstream) == (200, TRACEPARENT, "")
        self.assert_traced(worker, collector)

    def test_that_has_the_extension_do_it(self, worker, collector, downstream):
        OpenCensusExtension = worker.extension
        OpenCensusExtension.configure(["requests"], connection_string=collector.connection_string)
        # Names of roles, and the like, are set with processors, on what is not called a public attribute there either.
        OpenCensusExtension._exporter.add_telemetry_processor(
            lambda envelope: envelope.tags.update({"ai.cloud.role": "mine"})
        )

        def main(req, context):
            with context.tracer.span("parent"):
                requests.get(url=req.url, timeout=10)

        self.invoke(worker, main, downstream)
        self.assert_traced(worker, collector)
        assert {item.tags["ai.cloud.role"] for item in collector.telemetry("RequestData")} == {"mine"}


class TestACollectorThatDoesNotAnswer:
    COUNT = 250  # more than go into two batches

    def test_it_hangs(self, worker, collector, context):
        collector.answering.clear()
        worker.extension.configure(connection_string=collector.connection_string)
        for number in range(self.COUNT):
            worker.invoke(lambda _: None, context(str(number)))
        assert collector.arrived.wait(10)
        assert len(collector.requests) == 1  # the invocations have not even waited for the answer to one

        collector.answering.set()
        assert worker.extension.flush()
        assert len(collector.telemetry("RequestData")) == self.COUNT

    def test_it_is_gone(self, worker, collector, dead_connection_string, context, tmp_path):
        worker.extension.configure(connection_string=dead_connection_string)
        for number in range(self.COUNT):
            worker.invoke(lambda _: None, context(str(number)))
        assert worker.extension.flush()

        # The exporter keeps them for when it is back.
        kept = "".join(path.read_text() for path in (tmp_path / "storage").rglob("*.blob*"))
        assert all(f'"name": "{number}"' in kept for number in range(self.COUNT))


class TestTheEndOfTheProcess:
    APP = f"""if True:
        import logging, sys
        from types import SimpleNamespace
        sys.path.insert(0, {str(ROOT)!r})
        from python_worker_extension_telemetry import OpenCensusExtension

        OpenCensusExtension.configure(connection_string=sys.argv[1])
        for number in range(3):
            context = SimpleNamespace(function_name=str(number), invocation_id=str(number))
            OpenCensusExtension.pre_invocation_app_level(logging.getLogger(), context, {{}})
            OpenCensusExtension.post_invocation_app_level(logging.getLogger(), context, {{}}, None)
        print("ends", flush=True)
        """

    def end(self, connection_string):
        """:returns: how many seconds the process took to end once its work was done."""
        command = [sys.executable, "-c", self.APP, connection_string]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout.readline() == "ends\n"
            began = time.monotonic()
            assert process.wait(60) == 0
            return time.monotonic() - began

    def test_sends_what_is_left(self, collector):
        self.end(collector.connection_string)
        assert [item.name for item in collector.telemetry("RequestData")] == ["0", "1", "2"]

    def test_does_not_wait_for_a_collector_that_is_gone(self, dead_connection_string):
        assert self.end(dead_connection_string) < 5

    def test_waits_five_seconds_for_one_that_hangs(self, collector, dead_connection_string, tmp_path):
        self.end(dead_connection_string)
        for kept in (tmp_path / "storage").rglob("*.lock"):  # due to be sent again
            kept.rename(kept.with_name(kept.name.partition("@")[0]))
        collector.answering.clear()
        assert 4 < self.end(collector.connection_string) < 9
        assert collector.arrived.is_set()
