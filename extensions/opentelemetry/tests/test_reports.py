"""What the extension reports of an invocation."""

from __future__ import annotations

import pytest
from opentelemetry.trace import SpanKind, StatusCode

TRACE, PARENT = f"{7:032x}", f"{9:016x}"
INCOMING = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1", "baggage": "user=ada"}


class TestSpans:
    def test_have_the_attributes_of_the_conventions(self, client, telemetry):
        response = client.get("/api/sync?secret=1", headers={"User-Agent": "tests"})
        span = telemetry.spans["sync"]
        assert span.kind == SpanKind.SERVER
        assert span.status.status_code == StatusCode.UNSET
        assert dict(span.attributes) == {
            "faas.trigger": "http",
            "faas.name": "sync",
            "faas.invocation_id": response.invocation_id,
            "faas.coldstart": True,
            "http.request.method": "GET",
            "http.response.status_code": 200,
            "server.address": "localhost",
            "url.path": "/api/sync",
            "url.scheme": "http",
            "user_agent.original": "tests",
        }

    def test_only_the_first_one_is_a_cold_start(self, client, telemetry):
        client.get("/api/sync")
        client.get("/api/async")
        assert [telemetry.spans[name].attributes["faas.coldstart"] for name in ("sync", "run_async")] == [True, False]

    @pytest.mark.parametrize(
        ("name", "data", "trigger", "kind"),
        [("Tick", None, "timer", SpanKind.SERVER), ("on_message", "hello", "pubsub", SpanKind.CONSUMER)],
    )
    def test_of_other_triggers(self, client, telemetry, name, data, trigger, kind):
        assert client.trigger(name, data).succeeded
        span = telemetry.spans[name]
        assert (span.attributes["faas.trigger"], span.kind) == (trigger, kind)
        assert span.parent is None

    def test_tell_what_a_function_raised(self, client, telemetry):
        assert isinstance(client.get("/api/fail").error, LookupError)
        span = telemetry.spans["fail"]
        assert span.status.status_code == StatusCode.ERROR
        assert span.status.description == "LookupError: nothing there"
        assert span.attributes["error.type"] == "LookupError"
        (event,) = span.events
        assert event.attributes["exception.message"] == "nothing there"

    def test_tell_of_a_response_that_is_an_error_of_the_server(self, client, telemetry):
        client.get("/api/refuse")
        span = telemetry.spans["refuse"]
        assert span.status.status_code == StatusCode.ERROR
        assert span.attributes["error.type"] == "503"


@pytest.mark.parametrize(("path", "name"), [("sync", "sync"), ("async", "run_async"), ("thread", "thread")])
class TestPropagation:
    """... in sync and async functions, and in threads that they start."""

    def test_of_trace_context_and_baggage(self, client, telemetry, path, name):
        told = client.get(f"/api/{path}", headers=INCOMING).raise_for_status().json()
        span = telemetry.spans[name]
        assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}") == (TRACE, PARENT)
        assert span.parent.is_remote
        assert told == {
            "traceparent": f"00-{TRACE}-{span.context.span_id:016x}-01",
            "tracestate": "vendor=1",
            "baggage": "user=ada",
            "user": "ada",
        }

    def test_nothing_is_left_for_the_next_invocation(self, client, telemetry, path, name):
        client.get(f"/api/{path}", headers=INCOMING)
        client.get("/api/fail", headers=INCOMING)
        told = client.get(f"/api/{path}").raise_for_status().json()
        assert told["user"] is None
        assert TRACE not in told["traceparent"]

    def test_a_trace_that_is_not_to_be_recorded_is_not(self, client, telemetry, path, name):
        told = client.get(f"/api/{path}", headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}).json()
        assert told["traceparent"].startswith(f"00-{TRACE}")
        assert told["traceparent"].endswith("-00")
        assert telemetry.spans == {}


class TestMetrics:
    def test_count_invocations_errors_and_cold_starts(self, client, telemetry):
        for path in ("sync", "async", "fail", "sync"):
            client.get(f"/api/{path}")
        client.trigger("Tick")
        metrics = telemetry.metrics
        counted = {point.attributes["faas.trigger"]: point.value for point in metrics["faas.invocations"]}
        assert counted == {"http": 3, "timer": 1}
        (errors,) = metrics["faas.errors"]
        assert (errors.value, dict(errors.attributes)) == (1, {"faas.trigger": "http", "error.type": "LookupError"})
        assert sum(point.value for point in metrics["faas.coldstarts"]) == 1

    def test_measure_functions_and_hooks(self, client, telemetry):
        client.get("/api/sync")
        client.get("/api/fail")
        metrics = telemetry.metrics
        (durations,) = metrics["faas.invoke_duration"]
        assert durations.count == 2
        assert 0 < durations.sum < 10
        phases = {point.attributes["phase"]: point.count for point in metrics["worker_ext.hook.duration"]}
        assert phases == {"before": 2, "after": 1}


class TestLogs:
    def test_belong_to_the_span_of_their_invocation(self, client, telemetry):
        response = client.get("/api/sync", headers=INCOMING)
        span = telemetry.spans["sync"]
        (record,) = telemetry.logs
        assert (record.body, record.severity_text) == ("a line", "WARNING")
        assert (record.trace_id, record.span_id) == (span.context.trace_id, span.context.span_id)
        assert record.attributes["faas.invocation_id"] == response.invocation_id

    def test_of_threads_too(self, client, telemetry):
        client.get("/api/thread")
        (record,) = telemetry.logs
        assert (record.body, record.span_id) == ("from the thread", telemetry.spans["thread"].context.span_id)

    def test_can_be_turned_off(self, client, telemetry):
        from python_worker_extension_opentelemetry import OpenTelemetryExtension

        OpenTelemetryExtension.configure(**telemetry.providers, logs=False)
        assert client.get("/api/sync").messages == ["a line"]
        assert telemetry.logs == []
