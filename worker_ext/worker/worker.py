"""The worker: it holds the functions and runs their invocations, whichever runtime they came through."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import Any

from ..function import Function
from ..hooks.pipeline import Pipeline, run, run_async, run_load_hooks, settled
from ..hooks.registry import Registry
from ..invocation import Invocation, LogRecord, Outcome, current_invocation
from .executor import ThreadPool, pool_size
from .logs import LogCollector

Done = Callable[[Outcome, list[LogRecord]], None]
"""Told how an invocation ended, with the log lines that have not been sent yet; on the thread that ran it."""


class Worker:
    """Runs invocations: async functions as tasks of the event loop, sync functions on pool threads.

    :param loop: the event loop that async functions and their hooks run on.
    :param registry: the extensions whose hooks run.
    :param logs: collects what the invocations write.
    :param environ: the settings.
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
        self._logs = logs
        self._pool = ThreadPool(loop, pool_size(environ))
        self._pipelines: dict[Function, Pipeline] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._running: set[object] = set()  # invocations, and the tasks of async load hooks
        self._idle: asyncio.Event | None = None

    def load(self, function: Function) -> None:
        """Take up a function; the extensions' load hooks run now. :meth:`drain` waits for those that are async."""
        self._pipelines[function] = Pipeline(function, self._registry)
        run_load_hooks(function, self._registry, self._finish_loading)

    def invoke(self, invocation: Invocation, done: Done) -> None:
        """Run one invocation and tell ``done`` how it ended, whatever it raised. Call this on the loop's thread."""
        pipeline = self._pipelines[invocation.function]
        self._running.add(invocation)
        self._logs.begin(invocation)
        context = copy_context()
        context.run(current_invocation.set, invocation)
        if invocation.function.is_async:
            # Made by hand, because an app may set a task factory: its tasks might begin at once, or know no context.
            task = _InvocationTask(self._on_loop(invocation, pipeline, done), loop=self._loop, context=context)
            self._tasks[invocation.id] = task
            return
        try:
            self._pool.submit(lambda: self._on_thread(invocation, pipeline, context, done))
        except RuntimeError as error:
            self._ended(invocation, Outcome(None, error), done)

    def cancel(self, invocation_id: str) -> None:
        """Cancel the invocation if it runs on the loop. A thread cannot be interrupted, but its function can look."""
        invocation = self._logs.running(invocation_id)
        if invocation is not None:
            invocation.context.cancelled.set()
        task = self._tasks.get(invocation_id)
        if task is not None:
            task.cancel()

    async def drain(self) -> None:
        """Wait until nothing is running."""
        if self._idle is None:
            self._idle = asyncio.Event()  # before the check: whatever ends from now on sets it
        while self._running:
            self._idle.clear()
            await self._idle.wait()

    def close(self) -> None:
        """Let the pool threads end, in a process that goes on without this worker. Nothing may be invoked any more."""
        self._pool.close()

    async def _on_loop(self, invocation: Invocation, pipeline: Pipeline, done: Done) -> None:
        self._ended(invocation, await run_async(invocation, pipeline), done)

    def _on_thread(self, invocation: Invocation, pipeline: Pipeline, context: ContextVars, done: Done) -> None:
        self._ended(invocation, context.run(run, invocation, pipeline, self._wait), done)

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

    def _finish_loading(self, rest: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(rest)
        self._running.add(task)
        task.add_done_callback(self._no_longer_running)

    def _wait(self, awaited: Awaitable[Any]) -> Outcome:
        """Wait on a pool thread for what a hook returned, while the loop runs it."""
        try:
            return asyncio.run_coroutine_threadsafe(settled(awaited), self._loop).result()
        except BaseException as error:  # the app has cancelled all tasks of the loop
            return Outcome(None, error)


class _InvocationTask(asyncio.Task[None]):
    """The task of an invocation. It gets to answer even if it is cancelled before its first step."""

    def cancel(self, msg: Any | None = None) -> bool:
        coroutine = self.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            self._loop.call_soon(super().cancel, msg)  # its first step has been scheduled before this
            return True
        return super().cancel(msg)
