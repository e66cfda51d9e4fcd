"""Exporting without making anybody wait."""

from __future__ import annotations

import atexit
import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any

from opencensus.trace import execution_context

CAPACITY = 8192
"""Spans that may wait. What comes when as many are waiting is dropped: a collector that hangs must not cost memory."""

BATCH = 100
"""Spans that are delivered together at most."""

INTERVAL = 5.0
"""Seconds that a span waits for others to be delivered with it."""

GRACE = 5.0
"""Seconds that the end of the process waits for the spans that are still here."""

_logger = logging.getLogger(__package__)


class BackgroundExporter:
    """Takes spans from tracers at once, and delivers them in batches on a thread of its own.

    OpenCensus has an ``AsyncTransport`` for this. Its queue has no limit, and only exporters that were made with it
    use it, while the default of most is to send each span on the thread that ends it.

    :param deliver: called with a list of spans; it may block and raise.
    :param capacity: the number of spans that may wait; more are dropped.
    :param interval: seconds that a batch that is not full waits for more spans.
    """

    def __init__(
        self, deliver: Callable[[list[Any]], object], *, capacity: int = CAPACITY, interval: float = INTERVAL
    ) -> None:
        self._deliver = deliver
        self._capacity = capacity
        self._interval = interval
        self._spans: deque[Any] = deque()
        self._dropped = 0
        self._delivering = False
        self._flushing = 0
        self._closed = False
        self._changed = threading.Condition()
        thread = threading.Thread(target=self._work, name="telemetry", daemon=True)
        # In an empty context: workers hand that of a running invocation on to the threads that it starts.
        Context().run(thread.start)
        atexit.register(self.close)

    def export(self, spans: Sequence[Any]) -> None:
        """Take finished spans. Tracers call this; it neither blocks nor raises.

        :param spans: ``opencensus.trace.span_data.SpanData``; those without an end are left out, because exporters
            fail on them and lose the whole batch.
        """
        finished = [span for span in spans if span.end_time is not None]
        with self._changed:
            waiting = len(self._spans)
            room = 0 if self._closed else self._capacity - waiting
            self._spans.extend(finished[:room])
            self._dropped += max(0, len(finished) - room)
            if not waiting or len(self._spans) >= BATCH:
                self._changed.notify_all()

    def flush(self, timeout: float = GRACE) -> bool:
        """Deliver what waits now, not at the end of the interval.

        :param timeout: seconds to wait for it.
        :returns: whether everything has been delivered.
        """
        with self._changed:
            self._flushing += 1
            self._changed.notify_all()
            done = self._changed.wait_for(self._is_idle, timeout)
            self._flushing -= 1
        return done

    def close(self, timeout: float = GRACE) -> bool:
        """Take no more spans, and deliver what waits. The end of the process does this.

        :param timeout: seconds to wait for it; the thread goes on without the caller.
        :returns: whether everything has been delivered.
        """
        with self._changed:
            self._closed = True
        return self.flush(timeout)

    def _is_idle(self) -> bool:
        return not self._spans and not self._delivering

    def _is_due(self) -> bool:
        return len(self._spans) >= BATCH or self._flushing > 0 or self._closed

    def _work(self) -> None:
        execution_context.set_is_exporter(True)  # or the requests that deliver spans would make spans themselves
        while batch := self._next_batch():
            try:
                self._deliver(batch)
            except Exception:
                _logger.exception("%d spans could not be exported", len(batch))

    def _next_batch(self) -> list[Any]:
        """Wait for spans. An empty batch means that no more will come."""
        with self._changed:
            self._delivering = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._spans or self._closed)
            self._changed.wait_for(self._is_due, self._interval)
            batch = [self._spans.popleft() for _ in range(min(BATCH, len(self._spans)))]
            dropped, self._dropped = self._dropped, 0
            self._delivering = bool(batch)
        if dropped:  # told here, where it keeps no function waiting
            _logger.warning("%d spans were dropped: they came faster than they could be exported", dropped)
        return batch


class NullExporter:
    """Takes the spans of those who have nowhere to send them."""

    def export(self, spans: Sequence[Any]) -> None:
        """Forget the spans."""

    def flush(self, timeout: float = 0) -> bool:
        """There is nothing to wait for."""
        return True

    close = flush
