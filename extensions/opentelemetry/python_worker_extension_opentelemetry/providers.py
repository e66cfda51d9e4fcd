"""Where spans, metrics and log records go: the providers that the app has set, or new ones by the ``OTEL_*`` variables.

The SDK reads most of these variables by itself (resource, sampler, limits, batches, end points); which exporters there
are is left to distributions, such as this module.
https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

PROTOCOLS = {"http/protobuf": "otlp_proto_http", "grpc": "otlp_proto_grpc"}
"""Values of ``OTEL_EXPORTER_OTLP_PROTOCOL`` → the names under which the exporters' packages register them."""


class Providers(NamedTuple):
    """The providers of the three signals; those of the API that do nothing where there is nowhere to send to."""

    tracer: Any
    meter: Any
    logger: Any

    def flush(self, timeout: float) -> bool:
        """Export what waits.

        :param timeout: seconds that each of them has.
        :returns: whether all of it was handed to the exporters.
        """
        flushes = [getattr(provider, "force_flush", None) for provider in self]
        flushed = [flush(int(timeout * 1000)) for flush in flushes if flush is not None]
        return all(flushed)


def find_providers() -> Providers:
    """The providers of this process. Where the app has set none, they are made and set.

    :raises ValueError: if a variable names an exporter, or a protocol, that is not installed.
    """
    tracer, meter, logger = trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Providers(tracer, meter, logger)
    resource = _resource()
    # The API's own stand-ins cannot be flushed, everything that an app could have set can.
    exporters = _exporters("traces")
    if exporters and not hasattr(tracer, "force_flush"):
        tracer = TracerProvider(resource=resource)
        for exporter in exporters:
            tracer.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracer)
    exporters = _exporters("metrics")
    if exporters and not hasattr(meter, "force_flush"):
        readers = [one if isinstance(one, MetricReader) else PeriodicExportingMetricReader(one) for one in exporters]
        meter = MeterProvider(readers, resource=resource)
        metrics.set_meter_provider(meter)
    exporters = _exporters("logs")
    if exporters and not hasattr(logger, "force_flush"):
        logger = LoggerProvider(resource=resource)
        for exporter in exporters:
            logger.add_log_record_processor(BatchLogRecordProcessor(exporter))
        _logs.set_logger_provider(logger)
    return Providers(tracer, meter, logger)


def _resource() -> Resource:
    """What the app is; ``OTEL_SERVICE_NAME`` and ``OTEL_RESOURCE_ATTRIBUTES`` win over what is found here."""
    site, root = os.environ.get("WEBSITE_SITE_NAME"), os.environ.get("AzureWebJobsScriptRoot")  # noqa: SIM112
    found: dict[str, Any] = {"service.name": site or (Path(root).name if root else "function-app")}
    if site:
        found.update({"cloud.provider": "azure", "cloud.platform": "azure.functions"})
        for name, variable in {"cloud.region": "REGION_NAME", "faas.instance": "WEBSITE_INSTANCE_ID"}.items():
            if os.environ.get(variable):
                found[name] = os.environ[variable]
    return (
        Resource(found).merge(Resource.create()) if _names_the_service() else Resource.create().merge(Resource(found))
    )


def _names_the_service() -> bool:
    return bool(os.environ.get("OTEL_SERVICE_NAME")) or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )


def _exporters(signal: str) -> list[Any]:
    """The exporters of a signal.

    The specification's default is OTLP to localhost. Here it takes an end point, or the exporter's name, to be set:
    an app without a collector would log an error every few seconds.
    """
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    default = "otlp" if _otlp("ENDPOINT", signal) else "none"
    names = [name.strip() for name in (os.environ.get(variable) or default).split(",")]
    return [_make(name, signal, variable) for name in names if name and name != "none"]


def _make(name: str, signal: str, variable: str) -> Any:
    registered = name
    if name == "otlp":
        protocol = _otlp("PROTOCOL", signal) or "http/protobuf"
        if protocol not in PROTOCOLS:
            raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; it can be {' or '.join(PROTOCOLS)}")
        registered = PROTOCOLS[protocol]
    found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=registered))
    if not found:
        raise ValueError(f"{variable} names the exporter {name!r}, for which no package is installed ({registered})")
    return found[0].load()()


def _otlp(option: str, signal: str) -> str | None:
    own = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_{option}")
    return own or os.environ.get(f"OTEL_EXPORTER_OTLP_{option}")
