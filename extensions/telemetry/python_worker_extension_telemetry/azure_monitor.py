"""Sending spans to Application Insights, with the package opencensus-ext-azure if it is installed."""

from __future__ import annotations

import os
from typing import Any

from .invocation import FUNCTION_NAME

CONNECTION_STRING = "APPLICATIONINSIGHTS_CONNECTION_STRING"
"""The setting with the connection string; Azure sets it in apps that have Application Insights on."""

_SITE_NAME = "WEBSITE_SITE_NAME"  # the app's name on Azure, by which its host's telemetry goes as well


def make_azure_exporter(connection_string: str, source: str) -> Any:
    """Make an ``AzureExporter`` whose ``emit`` sends spans on the thread that calls it.

    :param connection_string: where to, as the Azure portal shows it.
    :param source: where the connection string is written, for the error.
    :raises ImportError: if opencensus-ext-azure is not installed.
    :raises ValueError: if the connection string is wrong.
    """
    try:
        from opencensus.ext.azure.common import Options, utils  # a fifth of a second: only for who wants it
        from opencensus.ext.azure.trace_exporter import AzureExporter
    except ImportError as error:
        raise ImportError(
            "Application Insights takes the package opencensus-ext-azure: "
            'pip install "python-worker-extension-telemetry[azure]"'
        ) from error

    class Exporter(AzureExporter):  # type: ignore[misc]
        # Version 1.1.15, the last one, asks this in its constructor, to report its use to Microsoft before anything
        # else, which waits for the network; and when sending fails, where the answer no (also by the setting that
        # turns such reports off) makes it drop the spans that it would have kept for later.
        _is_made = False

        def _check_stats_collection(self) -> bool:
            return self._is_made

    connection_string = connection_string.strip().rstrip(";")
    try:
        # Its constructor finds out too late: it has started its thread by then, which goes on with half an exporter.
        utils.validate_instrumentation_key(Options(connection_string=connection_string).instrumentation_key)
    except ValueError as error:
        reason = str(error).rstrip(".")
        raise ValueError(f"{source} is not a connection string of Application Insights: {reason}") from error
    # At the end of the process it would wait twice for its own thread, which never has anything to do.
    exporter = Exporter(connection_string=connection_string, grace_period=0)
    exporter._is_made = True
    exporter.add_telemetry_processor(_name_the_request)
    return exporter


def _name_the_request(envelope: Any) -> None:
    """Give a request the function's name; the exporter knows only names made of HTTP methods and routes."""
    role = os.environ.get(_SITE_NAME)
    if role:
        envelope.tags["ai.cloud.role"] = role
    if envelope.data.baseType == "RequestData":
        request = envelope.data.baseData
        name = request.properties.get(FUNCTION_NAME)
        if name and not request.name:
            request.name = envelope.tags["ai.operation.name"] = name
