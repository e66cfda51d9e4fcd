"""A connection that any thread may write to."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
from collections.abc import Callable
from typing import cast


class AnyThreadProtocol(asyncio.Protocol):
    """Writes at once, on whichever thread: a short function would take longer to wake the event loop than to run.

    :ivar on_cut_off: what a thread does that finds the descriptor closed behind the loop's back; nothing by default.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._home = threading.get_ident()
        self._lock = threading.Lock()
        self._transport: asyncio.Transport | None = None
        self._descriptor = -1
        self.on_cut_off: Callable[[], object] | None = None
        self._overflow: list[bytes] = []  # what other threads could not write; in order, before all that comes later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport (called by asyncio)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its base class
        if sys.platform != "win32":  # where a socket is no file descriptor
            self._descriptor = transport.get_extra_info("socket").fileno()

    def _write(self, data: bytes) -> None:
        """Write on the loop's thread."""
        with self._lock:
            if self._overflow:
                self._overflow.append(data)
            elif self._transport is not None:
                self._transport.write(data)

    def _write_elsewhere(self, data: bytes) -> None:
        """Write on another thread: straight to the socket if nothing is waiting, else through the loop."""
        with self._lock:
            if self._transport is None:
                return
            if not self._overflow:
                if self._descriptor >= 0 and not self._transport.get_write_buffer_size():
                    try:
                        data = data[os.write(self._descriptor, data) :]
                    except BlockingIOError:
                        pass
                    except OSError as error:
                        if error.errno == errno.EBADF and self._transport is not None and self.on_cut_off is not None:
                            self.on_cut_off()
                        return  # the other side has gone; the loop is about to notice
                if not data:
                    return
                self._loop.call_soon_threadsafe(self._flush)
            self._overflow.append(data)

    def _flush(self) -> None:
        with self._lock:
            overflow, self._overflow = self._overflow, []
            if overflow and self._transport is not None:
                self._transport.write(b"".join(overflow))
