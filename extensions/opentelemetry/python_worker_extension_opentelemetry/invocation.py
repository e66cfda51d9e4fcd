"""The span of one invocation, and what its metrics are made of.

Names are those of the semantic conventions for FaaS and HTTP (https://opentelemetry.io/docs/specs/semconv/).
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import azure.functions as func
from opentelemetry import context as otel_context
from opentelemetry import propagate, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from .instruments import Instruments

_PUBSUB = ("QueueMessage", "ServiceBusMessage", "EventHubEvent", "EventGridEvent", "CloudEvent", "KafkaEvent")
_DATASOURCE = ("InputStream", "DocumentList", "SqlRowList", "MySqlRowList")


def trigger_of(arguments: dict[str, Any]) -> str:
    """The value of ``faas.trigger``, by what the function is given."""
    values = [value[0] if isinstance(value, list) and value else value for value in arguments.values()]
    for trigger, names in {
        "http": ("HttpRequest",),
        "timer": ("TimerRequest",),
        "pubsub": _PUBSUB,
        "datasource": _DATASOURCE,
    }.items():
        kinds = tuple(getattr(func, name) for name in names if hasattr(func, name))
        if any(isinstance(value, kinds) for value in values):
            return trigger
    return "other"


class TracedInvocation:
    """An invocation that is running. Making one begins its span, and makes that the current one.

    :param tracer: makes the span.
    :param instruments: are told how it ended.
    :param context: the worker's context of the invocation.
    :param arguments: the function's arguments.
    :param cold: whether it is the first one of its process.
    """

    def __init__(
        self, tracer: Any, instruments: Instruments, context: Any, arguments: dict[str, Any], *, cold: bool
    ) -> None:
        self._instruments = instruments
        self._begun = self._function_begun = perf_counter()
        self._function_ended = 0.0
        self.ended = False
        trigger = trigger_of(arguments)
        self._attributes = {"faas.trigger": trigger}
        request = next((value for value in arguments.values() if isinstance(value, func.HttpRequest)), None)
        self._outer = _incoming(context, request)
        self.span = tracer.start_span(
            context.function_name,
            self._outer,
            SpanKind.CONSUMER if trigger in ("pubsub", "datasource") else SpanKind.SERVER,
            {
                **self._attributes,
                "faas.name": context.function_name,
                "faas.invocation_id": context.invocation_id,
                "faas.coldstart": cold,
                **(_of_request(request) if request is not None else {}),
            },
        )
        if cold:
            instruments.coldstarts.add(1, self._attributes)
        self._token = otel_context.attach(trace.set_span_in_context(self.span, self._outer))

    def call(self) -> None:
        """The hooks before the function have run; now it begins."""
        self._function_begun = perf_counter()
        self._instruments.hooks.record(self._function_begun - self._begun, {**self._attributes, "phase": "before"})

    def succeed(self, result: Any) -> None:
        """The function has returned.

        :param result: what it returned.
        """
        if isinstance(result, func.HttpResponse):
            self.span.set_attribute("http.response.status_code", result.status_code)
            if result.status_code >= 500:
                self.span.set_attribute("error.type", str(result.status_code))
                self.span.set_status(Status(StatusCode.ERROR))
        self._instruments.invocations.add(1, self._attributes)
        self._end()

    def fail(self, error: BaseException) -> None:
        """The function has raised.

        :param error: what it raised.
        """
        kind = type(error).__qualname__
        self.span.record_exception(error)
        self.span.set_attribute("error.type", kind)
        self.span.set_status(Status(StatusCode.ERROR, f"{kind}: {error}"))
        self._instruments.errors.add(1, {**self._attributes, "error.type": kind})
        self._end()

    def after(self) -> None:
        """Hooks have run after the function."""
        taken = perf_counter() - self._function_ended
        self._instruments.hooks.record(taken, {**self._attributes, "phase": "after"})

    def detach(self) -> None:
        """Make current again what was so before, on workers whose threads take it along to the next invocation."""
        otel_context.detach(self._token)

    def _end(self) -> None:
        self.ended = True
        self._function_ended = perf_counter()
        self._instruments.durations.record(self._function_ended - self._function_begun, self._attributes)
        self.span.end()


def _incoming(context: Any, request: func.HttpRequest | None) -> Context:
    """The trace context and baggage that the trigger sent. What an earlier invocation has left is not looked at."""
    carrier: dict[str, str] = {}
    told = getattr(context, "trace_context", None)
    parent = getattr(told, "trace_parent", None) or ""
    if parent and context.invocation_id.replace("-", "").lower() not in parent:  # or else the worker has made it up
        carrier = {"traceparent": parent, "tracestate": getattr(told, "trace_state", None) or ""}
    if request is not None:
        carrier.update({name.lower(): value for name, value in request.headers.items()})
    return propagate.extract(carrier, Context())


def _of_request(request: func.HttpRequest) -> dict[str, str]:
    scheme, _, rest = request.url.partition("://")
    path = "/" + rest.partition("?")[0].partition("/")[2] if rest else request.url.partition("?")[0]
    found = {"http.request.method": request.method.upper(), "url.path": path}
    if rest:
        found.update({"url.scheme": scheme, "server.address": rest.partition("/")[0].partition(":")[0]})
    agent = request.headers.get("user-agent")
    return {**found, "user_agent.original": agent} if agent else found
