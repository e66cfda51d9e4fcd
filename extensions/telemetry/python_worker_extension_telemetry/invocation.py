"""The span of one invocation, and what OpenCensus remembers about it.

OpenCensus keeps the current tracer, the current span and attributes in context variables, where its integrations
find them. A worker may run the sync functions of one pool thread in one and the same context, and no hook tells the
end of a function that raised where the worker has none for that. So whatever was set for an invocation is taken back
at its end or, at the latest, when the next one begins in the same context.
"""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Any

from opencensus.trace import execution_context
from opencensus.trace.attributes_helper import COMMON_ATTRIBUTES
from opencensus.trace.propagation.trace_context_http_header_format import TraceContextPropagator
from opencensus.trace.span import SpanKind
from opencensus.trace.stack_trace import StackTrace
from opencensus.trace.status import Status
from opencensus.trace.tracer import Tracer

FUNCTION_NAME = "faas.name"
"""The attribute for the function's name, as OpenTelemetry calls it
(https://opentelemetry.io/docs/specs/semconv/registry/attributes/faas/)."""

INVOCATION_ID = "faas.invocation_id"
"""The attribute for the invocation's id, from the same registry."""

OUTCOME = "outcome"
"""The attribute for how the invocation ended: ``success`` or ``failure``."""

_FLAGS = re.compile("(?<=^.{53})[0-9a-f]{2}")  # what follows version, trace id and parent id in a traceparent

_running: ContextVar[TracedInvocation | None] = ContextVar("telemetry_invocation", default=None)


class TracedInvocation:
    """The span of an invocation that is running.

    Making one begins the span, as a child of the span that triggered the invocation if there is one.

    :param context: the worker's context of the invocation.
    :param sampler: the OpenCensus sampler that decides whether the invocation is recorded.
    :param exporter: has an ``export`` that takes finished spans and does not block.
    :ivar tracer: the tracer that makes spans below this one.
    """

    def __init__(self, context: Any, sampler: Any, exporter: Any) -> None:
        left_behind = _running.get()
        if left_behind is not None:
            left_behind._restore()
        self._outer = execution_context.get_opencensus_full_context()
        execution_context.set_current_span(None)
        self.tracer = Tracer(span_context=_incoming_span_context(context), sampler=sampler, exporter=exporter)
        self._span = span = self.tracer.start_span(context.function_name)
        if self.tracer.span_context.span_id is None:
            # A trace that begins here and is not recorded. OpenCensus would tell others that its span is "None".
            self.tracer.span_context.span_id = span.span_id
        span.span_kind = SpanKind.SERVER
        span.add_attribute(FUNCTION_NAME, context.function_name)
        span.add_attribute(INVOCATION_ID, context.invocation_id)
        _running.set(self)

    def succeed(self, http_status: int | None = None) -> None:
        """End the span of a function that returned.

        :param http_status: the status of its HTTP response, if it returned one.
        """
        if http_status is not None:
            self._span.add_attribute(COMMON_ATTRIBUTES["HTTP_STATUS_CODE"], http_status)
        self._end("success")

    def fail(self, error: BaseException) -> None:
        """End the span of a function that raised.

        :param error: what it raised.
        """
        span = self._span
        span.add_attribute(COMMON_ATTRIBUTES["ERROR_NAME"], type(error).__name__)
        span.add_attribute(COMMON_ATTRIBUTES["ERROR_MESSAGE"], str(error))
        span.set_status(Status.from_exception(error))
        if error.__traceback__ is not None:
            span.stack_trace = StackTrace.from_traceback(error.__traceback__)
        self._end("failure")

    def _end(self, outcome: str) -> None:
        self._span.add_attribute(OUTCOME, outcome)
        current = execution_context.get_current_span()
        # finish() begins with the current span, which need not be one of this tracer's. Without one it ends exactly
        # this tracer's: the invocation's, and those that the function has left open.
        execution_context.set_current_span(None)
        self.tracer.finish()
        if _running.get() is self:
            self._restore()
        else:  # another invocation has begun in this context: the current span is that one's
            execution_context.set_current_span(current)

    def _restore(self) -> None:
        execution_context.set_opencensus_full_context(*self._outer)
        _running.set(None)


def _incoming_span_context(context: Any) -> Any:
    """The span context that the trigger sent, or a new one."""
    trace = getattr(context, "trace_context", None)
    # The spellings with a capital are those of azure-functions before 1.8; later ones have both.
    parent = getattr(trace, "trace_parent", None) or getattr(trace, "Traceparent", None) or ""
    state = getattr(trace, "trace_state", None) or getattr(trace, "Tracestate", None)
    # The flags are hexadecimal; OpenCensus reads them as decimal and raises ValueError for "0a". Only the lowest bit
    # has a meaning to it.
    parent = _FLAGS.sub(lambda flags: f"0{int(flags[0], 16) & 1}", parent.strip())
    return TraceContextPropagator().from_headers({"traceparent": parent, "tracestate": state})
