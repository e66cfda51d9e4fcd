"""On a worker that runs the classic hooks alone, such as the one of Azure for Python up to 3.12."""

from __future__ import annotations

import logging

import azure.functions as func
import pytest
from opentelemetry import baggage, trace
from opentelemetry.trace import StatusCode

from worker_ext.testing import make_context

TRACE, PARENT = f"{7:032x}", f"{9:016x}"


@pytest.fixture
def extension(client, telemetry):
    """The extension, to which nobody tells more than a stock worker does."""
    from python_worker_extension_opentelemetry import OpenTelemetryExtension

    OpenTelemetryExtension._sees_lines = False
    yield OpenTelemetryExtension
    logging.getLogger().removeHandler(OpenTelemetryExtension._handler)


def invoke(extension, function, name="f", **context):
    logger, told, arguments = logging.getLogger("stock"), make_context(name, **context), {"text": "x"}
    extension.pre_invocation_app_level(logger, told, arguments)
    result = function()
    extension.post_invocation_app_level(logger, told, arguments, result)


def test_the_span_ends_in_the_post_hook(extension, telemetry):
    def function():
        assert trace.get_current_span().get_span_context().trace_id == 7
        logging.getLogger("shop").error("a line")
        return func.HttpResponse(status_code=500)

    invoke(extension, function, trace_parent=f"00-{TRACE}-{PARENT}-01")
    span = telemetry.spans["f"]
    assert (span.parent.span_id, span.status.status_code) == (9, StatusCode.ERROR)
    assert trace.get_current_span() is trace.INVALID_SPAN
    (record,) = telemetry.logs
    assert (record.body, record.span_id) == ("a line", span.context.span_id)


def test_what_a_function_that_raised_has_left_on_its_thread_is_not_seen_by_the_next_one(extension, telemetry):
    def fail():
        raise ValueError

    with pytest.raises(ValueError):
        invoke(extension, fail, "fails", trace_parent=f"00-{TRACE}-{PARENT}-01")

    def function():
        assert trace.get_current_span().get_span_context().trace_id != 7
        assert baggage.get_all() == {}

    invoke(extension, function, "next")
    assert telemetry.spans.keys() == {"next"}
    assert telemetry.spans["next"].parent is None
