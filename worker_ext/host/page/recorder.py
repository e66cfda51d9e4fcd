"""Keeps the invocations of the recent past for the page: what ran, for how long, what it logged, how it failed."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...invocation import LogRecord
from ...runtimes.azure.http_payload import peek_request
from ..call import Call, CallOutcome, FunctionFailed, Result
from .rates import Rates
from .source import places_in_app

_KEPT = 250
"""How many invocations are kept, the running ones among them."""
_LINES = 500
"""How many log lines of one invocation are kept; the first ones, as those tell what led to the rest."""
_LINE = 4_000
"""How many characters of a log line are kept."""


@dataclass(slots=True)
class Record:
    """One invocation.

    :ivar id: its id.
    :ivar function: the function's name.
    :ivar trigger: the type of its trigger.
    :ivar subject: what started it, such as ``GET /api/hello?name=x``; empty where only the trigger is known.
    :ivar trace_id: the id of the trace that it belongs to (W3C trace context).
    :ivar begun: when it began, in seconds since 1970.
    :ivar since: the same, as ``time.monotonic`` tells it.
    :ivar duration: how long it took, in seconds; ``None`` while it is running.
    :ivar waited: how much of that it waited for a worker.
    :ivar status: ``running``, ``succeeded`` or ``failed``.
    :ivar http_status: the status of its answer, 0 where there is none.
    :ivar logs: seconds since it began, level, logger and text of each line. Those of a worker's last message come with
        its answer and so have the time of that.
    :ivar left_out: how many lines are not in ``logs``.
    :ivar error: type, message and traceback of what failed it, and the places in the app that it went through.
    :ivar timeline: its steps, as the worker has measured them.
    """

    id: str
    function: str
    trigger: str
    subject: str
    trace_id: str
    begun: float
    since: float
    duration: float | None = None
    waited: float = 0.0
    status: str = "running"
    http_status: int = 0
    logs: list[tuple[float, int, str, str]] = field(default_factory=list)
    left_out: int = 0
    error: dict[str, Any] | None = None
    timeline: list[dict[str, Any]] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """What a list of invocations shows of it."""
        return {
            "id": self.id,
            "function": self.function,
            "trigger": self.trigger,
            "subject": self.subject,
            "traceId": self.trace_id,
            "begun": self.begun,
            "duration": self.duration,
            "status": self.status,
            "httpStatus": self.http_status,
            "lines": len(self.logs) + self.left_out,
            "error": f"{self.error['kind']}: {self.error['message']}" if self.error else None,
        }

    def detail(self) -> dict[str, Any]:
        """All that is known of it."""
        return {
            **self.summary(),
            "waited": self.waited,
            "logs": self.logs,
            "leftOut": self.left_out,
            "error": self.error,
            "timeline": self.timeline,
        }


class Recorder:
    """Records invocations from its creation on; told of them by the invoker (``InvocationListener``).

    :param script_root: the app's folder, for the source lines of errors.
    :param changed: called whenever a record has changed or is a new one.
    :ivar rates: how many, how fast, how many failed.
    :ivar begun: when recording began, in seconds since 1970.
    """

    def __init__(self, script_root: Path, changed: Callable[[Record], None]) -> None:
        self._script_root = script_root
        self._changed = changed
        self._records: OrderedDict[str, Record] = OrderedDict()
        self.rates = Rates()
        self.begun = time.time()

    def started(self, call: Call) -> None:
        """Begin a record."""
        trigger = str(call.target.trigger["type"]) if call.target is not None else ""
        subject, trace_id = "", ""
        if trigger == "httpTrigger":
            subject, trace_id = peek_request(call.payload)
        self._add(
            Record(
                id=call.invocation_id,
                function=call.function,
                trigger=trigger,
                subject=subject,
                trace_id=trace_id or call.invocation_id.replace("-", ""),
                begun=time.time(),
                since=time.monotonic(),
            )
        )

    def logged(self, call: Call, records: list[LogRecord]) -> None:
        """Add log lines to its record."""
        record = self._records.get(call.invocation_id)
        if record is None:
            return
        after = time.monotonic() - record.since
        taken = max(0, _LINES - len(record.logs))
        record.logs += ((after, level, name, text[:_LINE]) for level, name, text in records[:taken])
        record.left_out += len(records[taken:])
        self._changed(record)

    def ended(self, call: Call, outcome: CallOutcome) -> None:
        """Complete its record."""
        record = self._records.get(call.invocation_id)
        if record is None:
            return
        now = time.monotonic()
        record.duration = now - record.since
        record.waited = max(0.0, call.started - record.since) if call.started else record.duration
        record.timeline = [entry._asdict() for entry in call.timeline]
        if isinstance(outcome, Result):
            record.status, record.http_status = "succeeded", outcome.status
        else:
            record.status = "failed"
            record.error = self._error(outcome)
        self.rates.add(record.function, record.duration, failed=record.status == "failed")
        self._changed(record)

    def get(self, invocation_id: str) -> Record | None:
        """The record of an invocation, if it is still kept."""
        return self._records.get(invocation_id)

    def recent(self) -> list[dict[str, Any]]:
        """Summaries of all records, the oldest first."""
        return [record.summary() for record in self._records.values()]

    def _add(self, record: Record) -> None:
        self._records[record.id] = record
        if len(self._records) > _KEPT:
            self._records.popitem(last=False)
        self._changed(record)

    def _error(self, error: CallOutcome) -> dict[str, Any]:
        if isinstance(error, FunctionFailed):
            return {
                "kind": error.kind,
                "message": error.text,
                "traceback": error.traceback,
                "places": places_in_app(error.traceback, self._script_root),
            }
        return {"kind": type(error).__name__, "message": str(error), "traceback": "", "places": []}
