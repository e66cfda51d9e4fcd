"""Log lines as OpenTelemetry log records; they belong to the span that is current where they were written."""

from __future__ import annotations

import logging
import time
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry._logs import LogRecord, SeverityNumber

_SEVERITIES = (
    (logging.CRITICAL, SeverityNumber.FATAL),
    (logging.ERROR, SeverityNumber.ERROR),
    (logging.WARNING, SeverityNumber.WARN),
    (logging.INFO, SeverityNumber.INFO),
    (logging.DEBUG, SeverityNumber.DEBUG),
)

_OWN = ("opentelemetry", "urllib3", "requests")
"""Loggers of what exports the records: their lines would make further records without end."""


def emit(provider: Any, level: int, name: str, message: str, attributes: dict[str, Any]) -> None:
    """Send a line.

    :param provider: the logger provider.
    :param level: a number of :mod:`logging`.
    :param name: the logger's name; empty for what was printed.
    :param message: the text.
    :param attributes: what else is known of it.
    """
    if name.partition(".")[0] in _OWN:
        return
    severity = next((number for least, number in _SEVERITIES if level >= least), SeverityNumber.TRACE)
    provider.get_logger(name or "stdout").emit(
        LogRecord(
            timestamp=time.time_ns(),
            context=otel_context.get_current(),
            severity_number=severity,
            severity_text=logging.getLevelName(level),
            body=message,
            attributes=attributes,
        )
    )


class Handler(logging.Handler):
    """Sends log records, on workers that do not tell extensions of lines.

    :param provider: the logger provider.
    """

    def __init__(self, provider: Any) -> None:
        super().__init__()
        self.provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record (called by :mod:`logging`)."""
        try:
            emit(self.provider, record.levelno, record.name, self.format(record), {})
        except Exception:
            self.handleError(record)
