"""Where sync functions run: on pool threads."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Mapping
from time import perf_counter

SIZE_SETTING = "PYTHON_THREADPOOL_THREAD_COUNT"
"""The setting that says how many sync functions may run at a time."""

PATIENCE = 0.001
"""Seconds that a task may wait for a thread that is busy before another is woken for it."""

_KEPT_BUSY = 2
_SLOW = 0.01  # seconds; well above what a short task may take that waits for the interpreter's lock
_logger = logging.getLogger("worker_ext")


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
    """Daemon threads that share one queue, started and woken as they are needed.

    Two threads are kept busy before a third is woken: a short function is over before another thread could even take
    the interpreter's lock, and sixteen threads that hand that lock around run half as many of them as two do. Every
    :data:`PATIENCE` the tasks that wait are held against those that have ended meanwhile: as many as will not have had
    their turn by the next time get threads of their own. While tasks are slow, every task does so at once.

    A task tells its result by itself, on its own thread: waking the event loop for that would cost more than a short
    function does.

    :param loop: the loop on whose thread :meth:`submit` is called.
    :param size: the most threads that run at a time.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._loop = loop
        self._size = size
        self._threads = 0
        self._queue: deque[Callable[[], None]] = deque()
        self._asleep: deque[threading.Lock] = deque()  # the lock that each sleeping thread waits for
        self._pace = 0.0  # seconds that the last task took
        self._ended = 0  # tasks, or a few less: threads count without a lock
        self._ended_before = 0  # at the last look
        self._looking = False
        self._closed = False

    def submit(self, task: Callable[[], None]) -> None:
        """Run ``task`` on a pool thread.

        :raises RuntimeError: if not even one thread can be started.
        """
        self._queue.append(task)
        if self._threads - len(self._asleep) < _KEPT_BUSY or self._pace > _SLOW:
            if not self._wake() and not self._threads:
                self._queue.pop()
                raise RuntimeError("the system has no thread to run the function on")
        elif not self._looking:
            self._look_later()

    def close(self) -> None:
        """Let the threads end once nothing waits for them. Nothing may be submitted any more."""
        self._closed = True
        for _ in range(len(self._asleep)):
            self._wake()

    def _wake(self) -> bool:
        """Have one more thread look at the queue, if there is one to be had."""
        try:
            self._asleep.pop().release()
        except IndexError:
            return self._threads < self._size and self._start_thread()
        return True

    def _start_thread(self) -> bool:
        # A daemon: a function that never returns must not keep the process from ending.
        thread = threading.Thread(target=self._work, name=f"function-{self._threads + 1}", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system has no more to give: those that there are will get to the task
            return False
        self._threads += 1
        return True

    def _look_later(self) -> None:
        self._looking = True
        self._ended_before = self._ended
        self._loop.call_later(PATIENCE, self._look)

    def _look(self) -> None:
        """Wake threads for the tasks that would wait too long: what runs before them is not short."""
        self._looking = False
        waiting = len(self._queue)
        stuck = waiting - (self._ended - self._ended_before)
        if waiting and all(self._wake() for _ in range(stuck)):
            self._look_later()

    def _work(self) -> None:
        queue, asleep = self._queue, self._asleep
        bell = threading.Lock()
        bell.acquire()
        while True:
            try:
                task = queue.popleft()
            except IndexError:
                if self._closed:
                    return
                asleep.append(bell)
                if (queue or self._closed) and self._got_up(bell):  # it came before anybody saw this thread asleep
                    continue
                bell.acquire()
                continue
            begun = perf_counter()
            try:
                task()
            except BaseException:  # tasks do not raise; if one does, its thread must still be there for the others
                _logger.exception("the outcome of an invocation could not be told")
            del task  # not to be kept in memory while this thread sleeps
            self._pace = perf_counter() - begun
            self._ended += 1

    def _got_up(self, bell: threading.Lock) -> bool:
        """Wake up by oneself, unless somebody has just rung the bell."""
        try:
            self._asleep.remove(bell)
        except ValueError:
            return False
        return True
