"""A worker extension that reports the invocations of Azure Functions in Python through OpenTelemetry.

Importing this module registers it. ``OTEL_*`` variables say where traces, metrics and logs go;
``OpenTelemetryExtension.configure()`` takes providers that the app has made itself.
"""

from .extension import OpenTelemetryExtension

__all__ = ["OpenTelemetryExtension"]
