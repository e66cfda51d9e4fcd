"""What the page is told without asking, as server-sent events.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from ...transports.http1 import Exchange, Header, ResponseStream

_HEADERS: list[Header] = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
]
_PATIENCE = 0.1
"""Seconds in which changes are collected, so that a page need not show each of thousands a second."""
_MOST = 32
"""The most changed records in one message. Where more change, pages are told nothing of them before the second is over,
and then the state of all records: nobody can read that fast, and a browser can hardly show it."""

Events = Callable[[], list[tuple[str, Any]]]
"""Gives names of events and their data."""

MOST_PAGES = 20
"""How many pages may follow at a time."""


class Feed:
    """The pages that are open, and what changes for them.

    A page whose browser does not keep up is told nothing, and everything anew when it has caught up.

    :param snapshot: all that a page must know when it is opened: names of events and their data.
    :param recent: the state of all records.
    :param tick: what it is told once a second.
    """

    def __init__(self, snapshot: Events, recent: Callable[[], Any], tick: Events) -> None:
        self._snapshot = snapshot
        self._recent = recent
        self._tick = tick
        self._is_behind = False  # whether pages lack changes that they have not been told of
        self._streams: set[ResponseStream] = set()
        self._changed: dict[str, Any] = {}
        self._flushing: asyncio.TimerHandle | None = None
        self._ticking: asyncio.TimerHandle | None = None

    def follow(self, exchange: Exchange) -> bool:
        """Answer with events until the browser leaves; ``False`` if there are too many pages."""
        if len(self._streams) >= MOST_PAGES:
            return False
        stream = exchange.begin(200, _HEADERS)
        if stream is None:
            return True
        exchange.on_disconnect = lambda: self._streams.discard(stream)
        stream.on_writable = lambda: self._tell(stream, self._snapshot())
        self._streams.add(stream)
        self._tell(stream, self._snapshot())
        if self._ticking is None:
            self._next_second()
        return True

    def changed(self, key: str, describe: Callable[[], Any]) -> None:
        """Note that a record has changed.

        :param key: which one.
        :param describe: makes its description when it is sent, at which time it may have changed again.
        """
        if not self._streams:
            return
        self._changed.pop(key, None)
        self._changed[key] = describe
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(_PATIENCE, self._flush)

    def tell(self, event: str, data: Any) -> None:
        """Tell every page something at once."""
        for stream in list(self._streams):
            if stream.writable:
                self._tell(stream, [(event, data)])

    def close(self) -> None:
        """End all streams."""
        for timer in (self._flushing, self._ticking):
            if timer is not None:
                timer.cancel()
        for stream in list(self._streams):
            stream.end()
        self._streams.clear()

    def _flush(self) -> None:
        self._flushing = None
        changed, self._changed = self._changed, {}
        if len(changed) > _MOST:
            self._is_behind = True
        elif not self._is_behind:
            self.tell("invocations", [describe() for describe in changed.values()])

    def _next_second(self) -> None:
        if not self._streams:
            self._ticking = None
            return
        self._ticking = asyncio.get_running_loop().call_later(1.0, self._next_second)
        for event, data in self._tick():
            self.tell(event, data)
        if self._is_behind:
            self._is_behind = False
            self._changed.clear()
            self.tell("recent", self._recent())

    def _tell(self, stream: ResponseStream, events: list[tuple[str, Any]]) -> None:
        text = "".join(f"event: {event}\ndata: {json.dumps(data)}\n\n" for event, data in events)
        stream.write(text.encode())
