"""The worker: it holds the functions and runs their invocations, whichever runtime they came through."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import os
from collections.abc import Callable, Coroutine, Mapping
from contextvars import Context as ContextVars
from contextvars import copy_context
from functools import partial
from typing import Any

from ..errors import IndexingError
from ..function import Function
from ..hooks.lifecycle import SHUTDOWN_LIMIT, Lifecycle, Readiness
from ..hooks.log_review import LogReview
from ..hooks.pipeline import Pipeline, run, run_async, run_load_hooks
from ..hooks.registry import Registry
from ..hooks.switches import is_on
from ..invocation import Invocation, LogRecord, Outcome, current_invocation
from .executor import ThreadPool, pool_size
from .hook_watch import HookWatch, slow_after
from .logs import DEBUG_SETTING, LogCollector

Done = Callable[[Outcome, list[LogRecord]], None]
"""Told how an invocation ended, with the log lines that have not been sent yet; on the thread that ran it."""


class Worker:
    """Runs invocations: async functions as tasks of the event loop, sync functions on pool threads.

    :param loop: the event loop that async functions and their hooks run on.
    :param registry: the extensions whose hooks run.
    :param logs: collects what the invocations write.
    :param environ: the settings.
    :ivar timelines: whether invocations record their timelines; from the start if debug logging is on.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        registry: Registry,
        logs: LogCollector,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._loop = loop
        self._registry = registry
        self._registry_version = -1
        self._lifecycle = Lifecycle(registry)
        self._logs = logs
        self._pool = ThreadPool(loop, pool_size(environ))
        self._pipelines: dict[Function, Pipeline] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: set[object] = set()  # invocations, and what runs in the background
        self._idle: asyncio.Event | None = None
        self._watch: HookWatch | None = None
        self._slow_after = slow_after(environ)
        self.timelines = is_on(DEBUG_SETTING, environ)

    def load(self, function: Function) -> None:
        """Take up a function; the extensions' load hooks run now. :meth:`drain` waits for those that are async."""
        self._adapt()
        self._pipelines[function] = Pipeline(function, self._registry)
        run_load_hooks(function, self._registry, self._in_background)

    def invoke(self, invocation: Invocation, done: Done) -> None:
        """Run one invocation and tell ``done`` how it ended, whatever it raised. Call this on the loop's thread."""
        if self._registry.version != self._registry_version:
            self._adapt()
        if self.timelines:
            invocation.timeline = []
        pipeline, context = self._begin(invocation)
        if invocation.function.is_async:
            # Made by hand, because an app may set a task factory: its tasks might begin at once, or know no context.
            task = _InvocationTask(self._on_loop(invocation, pipeline, done), loop=self._loop, context=context)
            self._tasks[invocation.id] = task
            return
        try:
            self._pool.submit(partial(self._on_thread, invocation, pipeline, context, done))
        except RuntimeError as error:
            self._ended(invocation, Outcome(None, error), done)

    def run_here(self, invocation: Invocation, done: Done) -> None:
        """Run one invocation on the calling thread, which is not the loop's and serves one invocation after another.

        What must be run on the loop is handed to it, as by :meth:`invoke`.
        """
        if invocation.function.is_async or self._registry.version != self._registry_version:
            self._loop.call_soon_threadsafe(self.invoke, invocation, done)
        else:
            self._on_thread(invocation, *self._begin(invocation), done)

    def _begin(self, invocation: Invocation) -> tuple[Pipeline, ContextVars]:
        pipeline = self._pipelines[invocation.function]
        self._running.add(invocation)
        self._logs.begin(invocation)
        context = copy_context()
        context.run(current_invocation.set, invocation)
        return pipeline, context

    def cancel(self, invocation_id: str) -> None:
        """Cancel the invocation if it runs on the loop. A thread cannot be interrupted, but its function can look."""
        invocation = self._logs.running(invocation_id)
        if invocation is not None:
            invocation.context.cancelled.set()
        task = self._tasks.get(invocation_id)
        if task is not None:
            task.cancel()

    async def startup(self) -> None:
        """Run the ``on_startup`` hooks. Call this once the functions have been loaded, before the first invocation.

        :raises IndexingError: if an extension that must not be skipped cannot do its work here: nothing may be invoked.
        """
        await self._lifecycle.startup()

    async def shutdown(self, limit: float = SHUTDOWN_LIMIT) -> None:
        """Run the ``on_shutdown`` hooks. Call this at the end of the process, after :meth:`drain`.

        :param limit: seconds after which they are not waited for.
        """
        await self._lifecycle.shutdown(limit)

    async def ready(self) -> Readiness:
        """Whether the extensions can do their work, for health checks."""
        return await self._lifecycle.ready()

    async def drain(self) -> None:
        """Wait until nothing is running."""
        if self._idle is None:
            self._idle = asyncio.Event()  # before the check: whatever ends from now on sets it
        while self._running:
            self._idle.clear()
            await self._idle.wait()

    def unfinished(self) -> list[str]:
        """The names of the functions that are running, each as often as it is."""
        return sorted(each.function.name for each in self._running.copy() if isinstance(each, Invocation))

    def close(self) -> None:
        """Let the pool threads end, in a process that goes on without this worker. Nothing may be invoked any more."""
        self._pool.close()
        self._watch = None

    # From an error's traceback a way leads back to these frames (f_back, for good since Python 3.12), and from `done`
    # one can lead to the error: a frame that kept it would close the circle.

    async def _on_loop(self, invocation: Invocation, pipeline: Pipeline, done: Done) -> None:
        try:
            self._ended(invocation, await run_async(invocation, pipeline), done)
        finally:
            del done

    def _on_thread(self, invocation: Invocation, pipeline: Pipeline, context: ContextVars, done: Done) -> None:
        try:
            self._ended(invocation, _outcome(invocation, pipeline, context, self._loop), done)
        finally:
            del done

    def _ended(self, invocation: Invocation, outcome: Outcome, done: Done) -> None:
        self._tasks.pop(invocation.id, None)
        try:
            done(outcome, self._logs.end(invocation))
        finally:
            self._no_longer_running(invocation)

    def _no_longer_running(self, ended: object) -> None:
        self._running.discard(ended)
        if self._idle is not None and not self._running:
            self._loop.call_soon_threadsafe(self._idle.set)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something that :meth:`drain` waits for."""
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._no_longer_running)

    def _adapt(self) -> None:
        """Take up what extensions want that have registered, or gone, since this was done last."""
        self._registry_version = self._registry.version
        reviewed = any(self._registry.log_hooks_for(function) for function in (None, *self._pipelines))
        self._logs.review = LogReview(self._registry) if reviewed else None  # without any, it costs nothing
        if self._watch is None and self._registry.extensions() and self._slow_after < math.inf:
            tasks = self._tasks  # not self: the watch goes on until this worker is collected
            self._watch = HookWatch(
                self._loop,
                self._running.copy,
                lambda invocation: tasks.get(invocation.id),
                self._logs.send_at_once,
                self._slow_after,
            )
            self._watch.start()
        if self._lifecycle.running:
            self._in_background(self._start_late())

    async def _start_late(self) -> None:
        with contextlib.suppress(IndexingError):  # it is what invocations are answered with from now on
            await self._lifecycle.startup()


def _outcome(
    invocation: Invocation, pipeline: Pipeline, context: ContextVars, loop: asyncio.AbstractEventLoop
) -> Outcome:
    """How an invocation ends on this thread, also if user code has had something thrown into the thread itself.

    Timers do so (``PyThreadState_SetAsyncExc``), and profilers that fail: it need not strike inside the function.
    """
    try:
        return context.run(run, invocation, pipeline, loop)
    except BaseException as error:
        return Outcome(None, error)


class _InvocationTask(asyncio.Task[None]):
    """The task of an invocation. It gets to answer even if it is cancelled before its first step."""

    def cancel(self, msg: Any | None = None) -> bool:
        coroutine = self.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            self._loop.call_soon(super().cancel, msg)  # its first step has been scheduled before this
            return True
        return super().cancel(msg)
