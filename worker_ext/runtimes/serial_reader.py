"""Where a worker has one call at a time: the thread that receives a call is the one that runs it.

A call then wakes one thread of the worker and not two, the event loop's and a pool's. What the loop must do, such as
running an async function, is handed to it.
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from ..errors import ProtocolError
from ..transports.frames import Frame, FrameConnection

_AT_ONCE = 256 * 1024  # bytes


class SerialReader:
    """Reads a connection's frames on a thread of its own.

    :param connection: from now on not read by its event loop.
    :param on_frame: called with each frame, on the thread.
    """

    def __init__(self, connection: FrameConnection, on_frame: Callable[[FrameConnection, Frame], None]) -> None:
        self._connection = connection
        self._on_frame = on_frame
        self._descriptor, self._decoder = connection.hand_over()
        self._poll = select.poll()
        self._poll.register(self._descriptor, select.POLLIN)

    def start(self) -> None:
        """Begin to read; the thread ends with the connection, or with the process."""
        threading.Thread(target=self._read, name="function-reader", daemon=True).start()

    def _read(self) -> None:
        while True:
            self._poll.poll()
            try:
                data = os.read(self._descriptor, _AT_ONCE)
            except BlockingIOError:
                continue
            except OSError:
                data = b""
            if not data:
                self._connection.read_elsewhere_ended(None)
                return
            try:
                for frame in self._decoder.feed(data):
                    self._on_frame(self._connection, frame)
            except ProtocolError as error:
                self._connection.read_elsewhere_ended(error)
                return
