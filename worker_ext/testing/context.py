"""Contexts for tests that call hooks directly."""

from __future__ import annotations

import uuid

from ..context import Context, RetryContext


def make_context(
    function_name: str = "HttpTrigger",
    *,
    function_directory: str = "",
    invocation_id: str | None = None,
    trace_parent: str = "",
    trace_state: str = "",
    retry_context: RetryContext | None = None,
) -> Context:
    """Make what hooks and functions get as ``context``, for a test that calls one without an app.

    :param function_name: the function's name.
    :param function_directory: its folder.
    :param invocation_id: unique for each invocation; a new one if left out.
    :param trace_parent: the ``traceparent`` of whoever triggered it.
    :param trace_state: the ``tracestate`` of whoever triggered it.
    :param retry_context: where it stands in its retry policy.
    """
    return Context(
        function_name, function_directory, invocation_id or str(uuid.uuid4()), trace_parent, trace_state, retry_context
    )
