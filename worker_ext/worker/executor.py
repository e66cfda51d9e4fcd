"""Where user code runs: async functions as tasks of the event loop, sync functions on pool threads."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue

SIZE_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
"""The setting that says how many sync functions may run at a time."""

_logger = logging.getLogger("worker_ext")

Task = Callable[[], Callable[[], None]]
"""What a pool thread runs: it returns what the event loop is to run when the thread is done with it."""


def pool_size(environ: Mapping[str, str]) -> int:
    """The number of pool threads: :data:`SIZE_SETTING`, else what CPython's own executors use by default."""
    default = min(32, (os.cpu_count() or 1) + 4)
    text = environ.get(SIZE_SETTING, "").strip()
    if not text:
        return default
    if text.isdecimal() and int(text) > 0:
        return int(text)
    _logger.warning("%s is %r, which is no positive number; %d threads are used", SIZE_SETTING, text, default)
    return default


class ThreadPool:
    """Daemon threads that take tasks from one queue, started as they are needed.

    All bookkeeping is done on the event loop's thread, so that neither side takes a lock. Finished tasks are handed
    back in batches: one wake-up of the loop serves all that finished meanwhile.

    :param loop: the loop that is told what has finished.
    :param size: the most threads that run at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._loop = loop
        self._size = size
        self._threads = 0
        self._running = 0
        self._queue: SimpleQueue[Task] = SimpleQueue()
        self._finished: deque[Callable[[], None]] = deque()
        self._waking = False

    def submit(self, task: Task) -> None:
        """Run ``task`` on a pool thread, and on the loop what it returns. Call this on the loop's thread."""
        self._running += 1
        if self._threads < min(self._running, self._size):
            self._threads += 1
            # A daemon: a function that never returns must not keep the process from ending.
            threading.Thread(target=self._work, name=f"function-{self._threads}", daemon=True).start()
        self._queue.put(task)

    def _work(self) -> None:
        get, finished = self._queue.get, self._finished
        while True:
            finished.append(get()())
            if not self._waking:
                self._waking = True
                try:
                    self._loop.call_soon_threadsafe(self._collect)
                except RuntimeError:  # the loop has closed: the process is ending
                    return

    def _collect(self) -> None:
        # The flag falls before the queue is emptied: a thread that still saw it raised has appended already.
        self._waking = False
        while self._finished:
            self._running -= 1
            self._finished.popleft()()
