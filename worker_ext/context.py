"""The second noun: what a function and its hooks are told about the invocation that they serve."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from random import Random


class TraceContext:
    """The W3C trace context of an invocation (https://www.w3.org/TR/trace-context/).

    :param trace_parent: the ``traceparent`` header value.
    :param trace_state: the ``tracestate`` header value, empty if there is none.
    :param attributes: what the host adds for Application Insights.
    """

    __slots__ = ("attributes", "trace_parent", "trace_state")

    def __init__(self, trace_parent: str, trace_state: str = "", attributes: dict[str, str] | None = None) -> None:
        self.trace_parent = trace_parent
        self.trace_state = trace_state
        self.attributes = {} if attributes is None else attributes

    # The stock worker's older spellings, which published extensions still use.
    @property
    def Traceparent(self) -> str:
        """The same as :attr:`trace_parent`."""
        return self.trace_parent

    @property
    def Tracestate(self) -> str:
        """The same as :attr:`trace_state`."""
        return self.trace_state

    @property
    def Attributes(self) -> dict[str, str]:
        """The same as :attr:`attributes`."""
        return self.attributes


class RetryContext:
    """Where an invocation stands in its function's retry policy.

    :param retry_count: how many times it has been retried so far; 0 at the first try.
    :param max_retry_count: how many retries the policy allows; -1 for no limit.
    :param exception: what the last try raised, if there was one.
    """

    __slots__ = ("exception", "max_retry_count", "retry_count")

    def __init__(self, retry_count: int = 0, max_retry_count: int = 0, exception: object | None = None) -> None:
        self.retry_count = retry_count
        self.max_retry_count = max_retry_count
        self.exception = exception


thread_local_storage = threading.local()
"""What :attr:`Context.thread_local_storage` gives."""

_TRACE_ID = re.compile(r"[0-9a-f]{32}")
_random = Random()  # not the module's own generator: an app may seed that, and count on what it gives next


class Context:
    """What hooks and the function see of their invocation; the same object for all of them.

    It has a ``__dict__`` on purpose: extensions set attributes on it to pass things on.

    :param function_name: the function's name.
    :param function_directory: the function's folder.
    :param invocation_id: unique for each invocation.
    :param trace_parent: the incoming ``traceparent``; if empty, a trace is begun under the invocation's own id, if that
        can be a trace's id as well.
    :param trace_state: the incoming ``tracestate``.
    :param retry_context: where the invocation stands in its retry policy.
    :param trace_attributes: what the host adds to the trace for Application Insights.
    """

    def __init__(
        self,
        function_name: str,
        function_directory: str,
        invocation_id: str,
        trace_parent: str = "",
        trace_state: str = "",
        retry_context: RetryContext | None = None,
        trace_attributes: Mapping[str, str] | None = None,
    ) -> None:
        self.function_name = function_name
        self.function_directory = function_directory
        self.invocation_id = invocation_id
        self._trace: TraceContext | tuple[str, str, Mapping[str, str] | None] = (
            trace_parent,
            trace_state,
            trace_attributes,
        )
        self._retry = retry_context

    @property
    def thread_local_storage(self) -> threading.local:
        """A ``threading.local``: a thread that sets ``invocation_id`` on it has its lines counted to that invocation.

        It is for threads that serve one invocation after another: a thread that a function starts belongs to its
        invocation without it.
        """
        return thread_local_storage

    @property
    def trace_context(self) -> TraceContext:
        """The trace that the invocation belongs to. Made when first asked for: most functions never ask."""
        if isinstance(self._trace, tuple):
            trace_parent, trace_state, attributes = self._trace
            if not trace_parent:
                # The trace's id is the invocation's id, so that either finds the other in a log.
                trace_id = self.invocation_id.replace("-", "").lower()
                if _TRACE_ID.fullmatch(trace_id) is None:  # whoever called chose another kind of id
                    trace_id = f"{_random.getrandbits(128) | 1:032x}"
                trace_parent = f"00-{trace_id}-{_random.getrandbits(64) | 1:016x}-01"
            self._trace = TraceContext(trace_parent, trace_state, dict(attributes or {}))
        return self._trace

    @property
    def cancelled(self) -> threading.Event:
        """Set once the host has asked for the invocation to be cancelled.

        An async function is cancelled with ``CancelledError`` as well. A sync one runs on; it can look here, or wait
        here instead of sleeping.
        """
        # In one step, as the host's request and the function's first look may meet.
        event: threading.Event = self.__dict__.setdefault("_cancelled", threading.Event())
        return event

    @property
    def retry_context(self) -> RetryContext:
        """Where the invocation stands in its function's retry policy."""
        if self._retry is None:
            self._retry = RetryContext()
        return self._retry

    def __repr__(self) -> str:
        return f"<Context {self.function_name} {self.invocation_id}>"
