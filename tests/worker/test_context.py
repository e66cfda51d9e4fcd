"""The context that hooks and functions are given."""

from __future__ import annotations

import random
import re

import azure.functions
import pytest

from worker_ext.context import Context, RetryContext, TraceContext

INVOCATION = "0C5B1B0E-7A62-4D2F-9A3E-0123456789AB"


def context(**options):
    return Context("Name", "folder", INVOCATION, **options)


@pytest.mark.parametrize("name", [name for name in vars(azure.functions.Context) if not name.startswith("_")])
def test_it_has_all_that_the_sdk_promises(name):
    assert hasattr(context(), name)


def test_an_incoming_trace_goes_on():
    trace = context(
        trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", trace_state="a=1"
    ).trace_context
    assert trace.trace_parent == trace.Traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert trace.trace_state == trace.Tracestate == "a=1"
    assert trace.attributes == trace.Attributes == {}


def test_else_one_begins_under_the_invocations_own_id():
    first, second = context(), context()
    trace_parent = first.trace_context.trace_parent
    assert re.fullmatch(r"00-0c5b1b0e7a624d2f9a3e0123456789ab-(?!0{16})[0-9a-f]{16}-01", trace_parent)
    assert first.trace_context is first.trace_context
    assert second.trace_context.trace_parent != trace_parent


def test_the_apps_random_numbers_are_its_own():
    random.seed(1)
    expected = random.random()
    random.seed(1)
    first = context().trace_context.trace_parent
    assert random.random() == expected
    random.seed(1)
    assert context().trace_context.trace_parent != first


def test_the_retry_context():
    assert (context().retry_context.retry_count, context().retry_context.max_retry_count) == (0, 0)
    retry = RetryContext(1, 3, ValueError())
    assert context(retry_context=retry).retry_context is retry


def test_extensions_can_set_attributes():
    found = context()
    found.anything = 1
    assert found.anything == 1
    assert "Name" in repr(found)


def test_attributes_of_traces_are_not_shared():
    TraceContext("a").attributes["key"] = "value"
    assert TraceContext("b").attributes == {}
