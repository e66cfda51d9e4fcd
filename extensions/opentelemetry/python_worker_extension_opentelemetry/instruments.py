"""The metrics, by the semantic conventions for FaaS (https://opentelemetry.io/docs/specs/semconv/faas/faas-metrics/)."""

from __future__ import annotations

from typing import Any

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bounds of the buckets of durations."""


class Instruments:
    """What is counted and measured.

    :param meter: makes the instruments.
    """

    def __init__(self, meter: Any) -> None:
        self.invocations = meter.create_counter(
            "faas.invocations", unit="{invocation}", description="Successful invocations"
        )
        self.errors = meter.create_counter("faas.errors", unit="{error}", description="Failed invocations")
        self.coldstarts = meter.create_counter(
            "faas.coldstarts", unit="{coldstart}", description="First invocations of a worker process"
        )
        self.durations = meter.create_histogram(
            "faas.invoke_duration",
            unit="s",
            description="How long the function took, with the hooks around it",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
        self.hooks = meter.create_histogram(
            "worker_ext.hook.duration",
            unit="s",
            description="How long the hooks before the function, or after it, kept an invocation",
            explicit_bucket_boundaries_advisory=SECONDS,
        )
