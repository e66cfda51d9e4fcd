"""An app with the extension, and what it reports."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

APP = """
import asyncio
import logging
import threading

import azure.functions as func
from opentelemetry import baggage, propagate, trace
from python_worker_extension_opentelemetry import OpenTelemetryExtension

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
tracer = trace.get_tracer("app")


def told():
    carrier = {}
    propagate.inject(carrier)
    return {**carrier, "user": baggage.get_baggage("user")}


@app.route("sync")
def sync(req: func.HttpRequest) -> func.HttpResponse:
    import json
    logging.getLogger("shop").warning("a line")
    return func.HttpResponse(json.dumps(told()))


@app.route("async")
async def run_async(req: func.HttpRequest) -> func.HttpResponse:
    import json
    await asyncio.sleep(0)
    return func.HttpResponse(json.dumps(told()))


@app.route("thread")
def thread(req: func.HttpRequest) -> func.HttpResponse:
    import json
    found = []
    def work():
        found.append(told())
        print("from the thread")
    started = threading.Thread(target=work)
    started.start()
    started.join()
    return func.HttpResponse(json.dumps(found[0]))


@app.route("fail")
async def fail(req):
    raise LookupError("nothing there")


@app.route("refuse")
def refuse(req):
    return func.HttpResponse("no", status_code=503)


@app.timer_trigger("timer", schedule="0 0 * * * *")
def Tick(timer: func.TimerRequest) -> None:
    pass


@app.queue_trigger("msg", queue_name="q", connection="C")
async def on_message(msg: func.QueueMessage) -> None:
    pass
"""


class Telemetry:
    """Providers that keep what they are told."""

    def __init__(self) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self._logs = InMemoryLogRecordExporter()
        tracer, logger = TracerProvider(), LoggerProvider()
        tracer.add_span_processor(SimpleSpanProcessor(self._spans))
        logger.add_log_record_processor(SimpleLogRecordProcessor(self._logs))
        meter = MeterProvider([self._metrics])
        self.providers = {"tracer_provider": tracer, "meter_provider": meter, "logger_provider": logger}

    @property
    def spans(self) -> dict[str, Any]:
        """The spans that have ended, by name."""
        return {span.name: span for span in self._spans.get_finished_spans()}

    @property
    def metrics(self) -> dict[str, list[Any]]:
        """The points of each metric."""
        data = self._metrics.get_metrics_data()
        resources = data.resource_metrics if data is not None else []
        found = (metric for resource in resources for scope in resource.scope_metrics for metric in scope.metrics)
        return {metric.name: list(metric.data.data_points) for metric in found}

    @property
    def logs(self) -> list[Any]:
        """The log records."""
        return [found.log_record for found in self._logs.get_finished_logs()]


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """What has been reported; nothing yet."""
    made = Telemetry()
    yield made
    for provider in made.providers.values():
        provider.shutdown()


@pytest.fixture
def client(function_app_folder, function_app_client, telemetry):
    """The app, reporting to ``telemetry``."""
    client = function_app_client(function_app_folder({"function_app.py": APP}))
    from python_worker_extension_opentelemetry import OpenTelemetryExtension  # the client's own edition

    OpenTelemetryExtension.configure(**telemetry.providers)
    return client
