"""An answer whose body is sent piece by piece, as it is made and no faster than the client reads.

A handler begins it instead of responding, and may go on long after it has returned::

    stream = exchange.begin(200, [(b"content-type", b"text/plain")])
    stream.write(b"first")
    await stream.drain()
    stream.write(b"second")
    stream.end()

Without a Content-Length among the header fields the body is sent in chunks (RFC 9112 section 7.1); to an HTTP/1.0
client, which knows none, until the connection ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .http1_response import Framing

_LAST_CHUNK = b"0\r\n\r\n"


class StreamSink(Protocol):
    """The side of a connection that a stream writes to."""

    def write_piece(self, data: bytes) -> None:
        """Send some of the body, framed already."""

    def stream_ended(self, *, keep_alive: bool) -> None:
        """Go on after the body, which is complete."""

    def stream_cut(self) -> None:
        """Close at once, as the body cannot be completed."""


class ResponseStream:
    """The body of one answer. To be used in the thread of the event loop only.

    :param sink: the connection.
    :param body: the length of the body, or how else its end is told.
    :param keep_alive: whether the connection stays open after it.
    :ivar open: whether more can be written: it has not been ended, and the client has not left
        (:attr:`Exchange.on_disconnect` is called when it does).
    :ivar writable: whether the client keeps up. While it does not, what is written stays in memory; who makes the body
        should pause until :meth:`drain` returns, or ``on_writable`` is called.
    :ivar on_writable: called whenever a client that had not kept up has caught up.
    """

    __slots__ = ("_body", "_keep_alive", "_sink", "_waiting", "on_writable", "open", "writable")

    def __init__(self, sink: StreamSink, body: int | Framing, keep_alive: bool) -> None:
        self._sink = sink
        self._body = body
        self._keep_alive = keep_alive
        self._waiting: list[asyncio.Future[None]] = []
        self.open = True
        self.writable = True
        self.on_writable: Callable[[], None] | None = None

    def write(self, data: bytes) -> bool:
        """Send the next piece of the body; it leaves at once.

        :returns: whether it was taken; ``False`` if the client has left or the stream has been ended.
        :raises ValueError: if the body becomes longer than its Content-Length.
        """
        if not self.open:
            return False
        if self._body is Framing.NO_BODY or not data:  # an empty chunk would be the last one
            return True
        if self._body is Framing.CHUNKED:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        elif isinstance(self._body, int):
            if len(data) > self._body:
                raise ValueError(f"the body is {len(data) - self._body} bytes longer than its Content-Length")
            self._body -= len(data)
        self._sink.write_piece(data)
        return True

    async def drain(self) -> bool:
        """Wait until the client has caught up.

        :returns: whether more can be written.
        """
        while self.open and not self.writable:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        return self.open

    def end(self) -> None:
        """Complete the body. A body shorter than its Content-Length is cut off like :meth:`abort` does."""
        if not self.open:
            return
        if isinstance(self._body, int) and self._body > 0:
            self.abort()
            return
        self.open = False
        if self._body is Framing.CHUNKED:
            self._sink.write_piece(_LAST_CHUNK)
        self._wake()
        self._sink.stream_ended(keep_alive=self._keep_alive)

    def abort(self) -> None:
        """Close the connection without completing the body, so that the client can tell that something is missing."""
        if self.open:
            self.lost()
            self._sink.stream_cut()

    # What the connection tells

    def paused(self) -> None:
        """Note that the client does not keep up."""
        self.writable = False

    def resumed(self) -> None:
        """Note that the client has caught up."""
        self.writable = True
        self._wake()
        if self.open and self.on_writable is not None:
            self.on_writable()

    def lost(self) -> None:
        """Note that nothing can be written any more."""
        self.open = False
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
