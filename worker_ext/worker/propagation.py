"""Threads that a function starts, and what it submits to thread pools, go on serving its invocation.

Python gives a new task the context variables of its maker, but a new thread gets none of them (unless one asks for it,
from 3.14 on), so that its log lines would belong to nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any

from ..invocation import Invocation, current_invocation

_MARK = "_worker_ext_serves"  # the attribute of our methods, which proxies and `functools.wraps` show as well


def install() -> None:
    """From now on hand the invocation to threads and to the jobs of thread pools. Other context variables stay put.

    It stays for the process: libraries that wrap the same methods afterwards build on it. Once is enough.
    """
    if getattr(threading.Thread.start, _MARK, False):
        return
    start: Callable[[threading.Thread], None] = threading.Thread.start
    submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit

    @wraps(start)
    def start_serving(self: threading.Thread) -> None:
        invocation = current_invocation.get()
        if invocation is None:
            start(self)
            return
        restore = _shadow_run(self, invocation)
        try:
            start(self)
        except BaseException:  # it has been started before, or the system has no thread to give
            restore()
            raise

    @wraps(submit)
    def submit_serving(self: ThreadPoolExecutor, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        invocation = current_invocation.get()
        if invocation is None:
            return submit(self, fn, *args, **kwargs)
        token = current_invocation.set(None)  # a thread that the pool starts now will serve others as well
        try:
            return submit(self, _serve, invocation, fn, *args, **kwargs)
        finally:
            current_invocation.reset(token)

    setattr(start_serving, _MARK, True)
    setattr(threading.Thread, "start", start_serving)  # noqa: B010 - mypy lets no method be assigned
    setattr(ThreadPoolExecutor, "submit", submit_serving)  # noqa: B010


def _shadow_run(thread: threading.Thread, invocation: Invocation) -> Callable[[], None]:
    """Have the thread's ``run``, which may be a subclass's own, serve the invocation; returns what undoes it.

    It is shadowed on the instance until it runs. After that nothing must be left there: it would tie thread and
    invocation into a cycle, and keep the invocation's arguments in memory.
    """
    run, attributes = thread.run, vars(thread)
    shadowed = attributes.get("run")

    def restore() -> None:
        if shadowed is None:
            attributes.pop("run", None)
        else:
            attributes["run"] = shadowed

    def run_serving() -> None:
        restore()
        _serve(invocation, run)

    attributes["run"] = run_serving
    return restore


def _serve(invocation: Invocation, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    token = current_invocation.set(invocation)
    try:
        return call(*args, **kwargs)
    finally:
        current_invocation.reset(token)
