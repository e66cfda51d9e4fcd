"""The stream of messages between the worker and its host: bytes in, bytes out, over gRPC.

Two threads serve it. One reads and hands what it has read to the event loop, woken once for all that has come
meanwhile. The other belongs to gRPC; it writes what is put into the outbox by any thread. Neither needs the event loop
to notice that the host is gone.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import grpc

METHOD = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"

MOST_UNSENT = 64 * 1024 * 1024
"""Bytes that may wait for a host that does not read. Beyond them nothing more is read from it."""

MOST_UNREAD = 256 * 1024 * 1024
"""Bytes that may wait for an event loop that is busy. Beyond them nothing more is read from the host."""

_NO_LIMITS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.enable_http_proxy", 0),  # the host is on this machine, whatever the app's settings say of a proxy
)


class HostStream:
    """The connection to a host.

    :param address: the host's ``name:port``.
    :param loop: the loop on which messages are handled.
    :param on_message: is given each message, on the loop's thread.
    :param on_lost: is told, on the loop's thread, that the stream has ended, and why: empty if the host ended it.
    :param on_gone: is called by a thread of its own when the host has gone; the loop may be blocked by user code.
    """

    def __init__(
        self,
        address: str,
        loop: asyncio.AbstractEventLoop,
        on_message: Callable[[bytes], None],
        on_lost: Callable[[str], None],
        on_gone: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_gone = on_gone
        self._inbox: deque[bytes] = deque()
        self._notified = False
        self._closing = False
        self._outbox = _Outbox()
        self._room = threading.Condition()
        self._unread = 0
        self._channel = grpc.insecure_channel(address, options=_NO_LIMITS)

    def open(self) -> None:
        """Connect and begin to read. A host that cannot be reached is told as one that is lost."""
        threading.Thread(target=self._read, name="host-reader", daemon=True).start()

    @property
    def is_full(self) -> bool:
        """Whether the host has stopped reading: what can be left out should be."""
        return self._outbox.is_full

    def send(self, message: bytes) -> None:
        """Send a message. Any thread may call this."""
        self._outbox.put(message)

    def close(self) -> None:
        """End the stream when all that has been put into it has left."""
        self._closing = True
        self._outbox.close()

    def _read(self) -> None:
        reason = ""
        try:
            call = self._channel.stream_stream(METHOD)(self._outbox)
            if not call.add_callback(self._outbox.close):  # which frees this thread if it waits for room
                self._outbox.close()
            for message in call:
                self._take(message)
        except grpc.RpcError as error:
            code = error.code() if isinstance(error, grpc.Call) else None
            reason = f"{code.name}: {error.details()}" if isinstance(code, grpc.StatusCode) else str(error)
        self._outbox.close()
        try:
            self._loop.call_soon_threadsafe(self._on_lost, reason)
        except RuntimeError:  # the loop has ended before
            return
        if not self._closing:
            self._on_gone()

    def _take(self, message: bytes) -> None:
        self._inbox.append(message)
        if not self._notified:
            self._notified = True
            self._loop.call_soon_threadsafe(self._handle_all)
        if len(message) > 1024:
            with self._room:
                self._unread += len(message)
                self._room.wait_for(lambda: self._unread <= MOST_UNREAD)
        self._outbox.wait_for_room()

    def _handle_all(self) -> None:
        self._notified = False  # before the messages are taken: one that comes now asks for another turn
        inbox = self._inbox
        while inbox:
            message = inbox.popleft()
            if len(message) > 1024:
                with self._room:
                    self._unread -= len(message)
                    self._room.notify()
            self._on_message(message)


class _Outbox(Iterator[bytes]):
    """What is to be sent, in turn. gRPC takes it from here on a thread of its own."""

    def __init__(self) -> None:
        self._waiting: SimpleQueue[bytes | None] = SimpleQueue()
        self._room = threading.Condition(threading.Lock())
        self._bytes = 0
        self._closed = False
        self.is_full = False

    def put(self, message: bytes) -> None:
        """Add a message; nothing is sent any more once the outbox is closed."""
        with self._room:
            if self._closed:
                return
            self._bytes += len(message)
            self.is_full = self._bytes > MOST_UNSENT
            self._waiting.put(message)

    def close(self) -> None:
        """Take no more; the stream ends after the last one."""
        with self._room:
            if not self._closed:
                self._closed = True
                self.is_full = False
                self._waiting.put(None)
                self._room.notify_all()

    def wait_for_room(self) -> None:
        """Wait while it is full."""
        if self.is_full:
            with self._room:
                self._room.wait_for(lambda: not self.is_full)

    def __next__(self) -> bytes:
        message = self._waiting.get()
        if message is None:
            raise StopIteration
        with self._room:
            self._bytes -= len(message)
            if self.is_full and self._bytes <= MOST_UNSENT:
                self.is_full = False
                self._room.notify_all()
        return message
