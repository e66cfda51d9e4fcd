"""A request body that is read piece by piece, as the client sends it and no faster than somebody takes it.

A server that was given ``streams`` asks it about each request with a body, when it has the head. Where the answer is
yes the request is handed on at once, and what comes of its body can be iterated over::

    async for piece in exchange.incoming:
        ...

If the body is not read to its end, the connection closes after the answer: what still comes of it would be taken for
the next request.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from ..errors import ProtocolError

AHEAD = 262_144
"""Bytes that may wait to be taken before the client has to wait."""


class RequestStream:
    """The body of one request. To be used in the thread of the event loop only, by one reader.

    :param regulate: called when the client may go on sending.
    :ivar complete: whether all of it has come.
    """

    __slots__ = ("_failure", "_pieces", "_regulate", "_size", "_waiter", "complete")

    def __init__(self, regulate: Callable[[], None]) -> None:
        self._regulate = regulate
        self._pieces: deque[bytes] = deque()
        self._size = 0
        self._waiter: asyncio.Future[None] | None = None
        self._failure = ""
        self.complete = False

    @property
    def is_ahead(self) -> bool:
        """Whether more has come than should wait."""
        return self._size > AHEAD

    def __aiter__(self) -> RequestStream:
        return self

    async def __anext__(self) -> bytes:
        """The next piece, which is not empty.

        :raises ProtocolError: if the rest will not come: the client has left, was too slow, or sent too much.
        """
        while not self._pieces:
            if self._failure:
                raise ProtocolError(self._failure)
            if self.complete:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        piece = self._pieces.popleft()
        was_ahead = self.is_ahead
        self._size -= len(piece)
        if was_ahead and not self.is_ahead:
            self._regulate()
        return piece

    # What the connection tells

    def feed(self, piece: bytes) -> None:
        """Take a piece that has come."""
        self._pieces.append(piece)
        self._size += len(piece)
        self._wake()

    def end(self) -> None:
        """Note that all of it has come."""
        self.complete = True
        self._wake()

    def fail(self, reason: str) -> None:
        """Note that the rest will not come; what has come can still be read."""
        if not self.complete:
            self._failure = self._failure or reason
            self._wake()

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
