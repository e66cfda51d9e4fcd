"""The spans of invocations, and whose children they are."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from azure.functions import HttpResponse
from hypothesis import given
from hypothesis import strategies as st
from opencensus.trace import execution_context
from opencensus.trace.propagation.trace_context_http_header_format import TraceContextPropagator
from opencensus.trace.samplers import AlwaysOffSampler, AlwaysOnSampler, ProbabilitySampler
from opencensus.trace.span import SpanKind
from opencensus.trace.tracer import Tracer

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"


class NullExporter:
    def export(self, spans):
        pass


def outgoing_headers(context):
    """What an integration adds to a request that the function sends."""
    tracer = execution_context.get_opencensus_tracer()
    return TraceContextPropagator().to_headers(tracer.span_context)


class TestTheSpanOfAnInvocation:
    def test_says_which_function_ran_and_how_it_ended(self, worker, recorder, context):
        worker.invoke(lambda _: None, context("Cleanup", "an-id"))
        worker.extension.flush()

        (span,) = recorder.spans
        assert (span.name, span.span_kind, span.status.code) == ("Cleanup", SpanKind.SERVER, 0)
        assert span.attributes == {"faas.name": "Cleanup", "faas.invocation_id": "an-id", "outcome": "success"}
        assert span.start_time <= span.end_time

    def test_has_the_status_of_an_http_response(self, worker, recorder):
        worker.invoke(lambda _: HttpResponse(status_code=404))
        worker.extension.flush()
        assert recorder["HttpTrigger"].attributes["http.status_code"] == 404

    def test_of_a_function_that_failed_says_why(self, worker, recorder):
        worker.tells_errors = True

        def fail(context):
            with context.tracer.span("inner"):
                raise LookupError("no such thing")

        with pytest.raises(LookupError):
            worker.invoke(fail)
        worker.extension.flush()

        span = recorder["HttpTrigger"]
        assert span.attributes["outcome"] == "failure"
        assert span.attributes["error.name"] == "LookupError"
        assert span.attributes["error.message"] == span.status.message == "no such thing"
        assert span.status.code != 0
        assert span.stack_trace.stack_frames[-1]["function_name"]["value"] == "fail"
        assert recorder["inner"].parent_span_id == span.span_id

    def test_is_dropped_if_the_function_failed_and_the_worker_does_not_tell(self, worker, recorder):
        def fail(context):
            with context.tracer.span("complete"):
                pass
            context.tracer.start_span("never ended")
            raise LookupError

        with pytest.raises(LookupError):
            worker.invoke(fail)
        worker.invoke(lambda _: None, SimpleNamespace(function_name="Next", invocation_id="2"))
        worker.extension.flush()
        assert {span.name for span in recorder.spans} == {"complete", "Next"}

    def test_first_imported_during_an_invocation_it_skips_that_one(self, worker, recorder, context):
        worker.extension.post_invocation_app_level(worker.logger, context(), {}, None)
        worker.extension.on_invocation_error_app_level(worker.logger, context(), {}, LookupError())
        worker.extension.flush()
        assert recorder.spans == []


class TestSpansOfTheFunction:
    def test_are_children_of_the_invocation(self, worker, recorder):
        def function(context):
            with context.tracer.span("outer"), context.tracer.span("inner"):
                pass
            with context.tracer.span("second"):
                pass

        worker.invoke(function)
        worker.extension.flush()

        invocation = recorder["HttpTrigger"].span_id
        assert recorder["outer"].parent_span_id == recorder["second"].parent_span_id == invocation
        assert recorder["inner"].parent_span_id == recorder["outer"].span_id
        assert len({span.context.trace_id for span in recorder.spans}) == 1

    def test_that_it_left_open_end_with_it(self, worker, recorder):
        def function(context):
            context.tracer.start_span("open")
            context.tracer.start_span("open below")

        worker.invoke(function)
        worker.extension.flush()

        assert {span.name for span in recorder.spans} == {"HttpTrigger", "open", "open below"}
        assert all(span.end_time for span in recorder.spans)

    def test_of_another_tracer_are_not_mixed_in(self, worker, recorder):
        other = Tracer(sampler=AlwaysOnSampler(), exporter=NullExporter())
        before = other.start_span("around")
        within = []

        def function(_):
            within.append(other.start_span("within"))

        worker.invoke(function)
        worker.extension.flush()
        (span,) = recorder.spans
        assert span.parent_span_id is None
        assert before.end_time is within[0].end_time is None
        assert execution_context.get_current_span() is before

    def test_code_without_the_context_finds_the_tracer(self, worker, recorder):
        def function(context):
            assert execution_context.get_opencensus_tracer() is context.tracer
            assert execution_context.get_current_span().name == "HttpTrigger"

        worker.invoke(function)


class TestTraceContext:
    @pytest.mark.parametrize("names", [("trace_parent", "trace_state"), ("Traceparent", "Tracestate")])
    def test_the_triggers_trace_goes_on(self, worker, recorder, names):
        trace = SimpleNamespace(**dict(zip(names, (TRACEPARENT, "vendor=value"))))
        sent = worker.invoke(
            outgoing_headers, SimpleNamespace(function_name="F", invocation_id="1", trace_context=trace)
        )
        worker.extension.flush()

        (span,) = recorder.spans
        assert (span.context.trace_id, span.parent_span_id) == (TRACE, PARENT)
        assert sent == {"traceparent": f"00-{TRACE}-{span.span_id}-01", "tracestate": "vendor=value"}

    @pytest.mark.parametrize("parent", [None, "", "nonsense", f"00-{'0' * 32}-{PARENT}-01", f"ff-{TRACE}-{PARENT}-01"])
    def test_without_a_valid_one_a_new_trace_begins(self, worker, recorder, context, parent):
        worker.invoke(lambda _: None, context(trace_parent=parent))
        worker.invoke(lambda _: None, context(trace_parent=parent))
        worker.extension.flush()

        first, second = recorder.spans
        assert first.parent_span_id is second.parent_span_id is None
        assert len({TRACE, first.context.trace_id, second.context.trace_id}) == 3

    def test_a_context_that_has_none(self, worker, recorder):
        worker.invoke(lambda _: None, SimpleNamespace(function_name="F", invocation_id="1"))
        worker.extension.flush()
        assert recorder["F"].parent_span_id is None

    def test_a_tracestate_that_is_invalid_does_no_harm(self, worker, recorder, context):
        sent = worker.invoke(outgoing_headers, context(trace_parent=TRACEPARENT, trace_state="===,"))
        assert sent["traceparent"].startswith(f"00-{TRACE}-")
        assert "tracestate" not in sent

    def test_all_flags_are_understood(self, worker, recorder, context):
        for flags in range(256):  # OpenCensus alone fails for 0a
            worker.extension.configure(exporter=recorder, sampler=ProbabilitySampler(0))
            worker.invoke(lambda _: None, context(str(flags), trace_parent=f"00-{TRACE}-{PARENT}-{flags:02x}"))
        worker.extension.flush()

        assert [span.name for span in recorder.spans] == [str(flags) for flags in range(256) if flags & 1]
        assert {span.parent_span_id for span in recorder.spans} == {PARENT}

    # The fixtures are shared by all examples on purpose: importing the extension for each would take minutes.
    def test_no_traceparent_breaks_an_invocation(self, worker, recorder, context):
        @given(st.text() | st.from_regex(r"\s?[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-..(-.*)?"), st.text())
        def check(parent, state):
            assert worker.invoke(lambda context: context.tracer, context(trace_parent=parent, trace_state=state))

        check()


class TestSampler:
    def test_all_invocations_are_recorded_whatever_the_trigger_says(self, worker, recorder, context):
        sent = worker.invoke(outgoing_headers, context(trace_parent=f"00-{TRACE}-{PARENT}-00"))
        worker.extension.flush()
        assert len(recorder.spans) == 1
        assert sent["traceparent"].endswith("-01")

    def test_a_sampler_decides_otherwise(self, worker, recorder, context):
        worker.extension.configure(exporter=recorder, sampler=AlwaysOffSampler())

        def function(context):
            with context.tracer.span("inner"):
                return outgoing_headers(context)

        sent = worker.invoke(function, context(trace_parent=f"00-{TRACE}-{PARENT}-00"))
        worker.extension.flush()
        assert recorder.spans == []
        assert sent["traceparent"] == f"00-{TRACE}-{PARENT}-00"

    def test_it_sees_the_triggers_trace(self, worker, recorder, context):
        seen = []

        class Sampler:
            def should_sample(self, span_context):
                seen.append((span_context.trace_id, span_context.span_id, span_context.trace_options.get_enabled()))
                return False

        worker.extension.configure(exporter=recorder, sampler=Sampler())
        worker.invoke(lambda _: None, context(trace_parent=TRACEPARENT))
        assert seen == [(TRACE, PARENT, True)]

    def test_a_new_trace_that_is_not_recorded_is_passed_on_validly(self, worker, recorder):
        worker.extension.configure(exporter=recorder, sampler=AlwaysOffSampler())
        sent = worker.invoke(outgoing_headers)
        assert TraceContextPropagator().from_headers(sent).from_header
        assert sent["traceparent"].endswith("-00")
