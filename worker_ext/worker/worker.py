"""The worker: it holds the functions and runs their invocations, whichever runtime they came through."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context as ContextVars
from contextvars import copy_context
from typing import Any

from ..function import Function
from ..hooks.pipeline import Pipeline, run, run_async, run_load_hooks
from ..hooks.registry import Registry
from ..invocation import Invocation, LogRecord, Outcome, current_invocation
from .executor import ThreadPool, pool_size
from .logs import LogCollector

Done = Callable[[Outcome, list[LogRecord]], None]
"""Told on the loop how an invocation ended, with the log lines that have not been sent yet."""


class Worker:
    """Runs invocations.

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
        self._idle = asyncio.Event()
        self._idle.set()
        self._running = 0

    def load(self, function: Function) -> None:
        """Take up a function; the extensions' load hooks run now."""
        self._pipelines[function] = Pipeline(function, self._registry)
        run_load_hooks(function, self._registry)

    def invoke(self, invocation: Invocation, done: Done) -> None:
        """Run one invocation and tell ``done`` how it ended, whatever it raised. Call this on the loop's thread."""
        pipeline = self._pipelines[invocation.function]
        self._running += 1
        self._logs.begin(invocation)
        context = copy_context()
        context.run(current_invocation.set, invocation)
        if invocation.function.is_async:
            task = self._loop.create_task(self._on_loop(invocation, pipeline, done), context=context)
            identifier = invocation.context.invocation_id
            self._tasks[identifier] = task
        else:
            self._pool.submit(lambda: self._on_thread(invocation, pipeline, context, done))

    def cancel(self, invocation_id: str) -> None:
        """Cancel the invocation, if it runs on the loop; a thread cannot be interrupted."""
        task = self._tasks.get(invocation_id)
        if task is not None:
            # One turn later: a task that is cancelled before its first step would never get to answer.
            self._loop.call_soon(task.cancel)

    async def drain(self) -> None:
        """Wait until no invocation is running."""
        if self._running:
            self._idle.clear()
            await self._idle.wait()

    async def _on_loop(self, invocation: Invocation, pipeline: Pipeline, done: Done) -> None:
        try:
            outcome = Outcome(await run_async(invocation, pipeline), None)
        except GeneratorExit:  # the loop is being torn down: nobody is left to answer to
            raise
        except BaseException as error:  # SystemExit and CancelledError too: they end this invocation and no more
            outcome = Outcome(None, error)
        del self._tasks[invocation.context.invocation_id]
        self._ended(invocation, outcome, done)

    def _on_thread(
        self, invocation: Invocation, pipeline: Pipeline, context: ContextVars, done: Done
    ) -> Callable[[], None]:
        try:
            outcome = Outcome(context.run(run, invocation, pipeline, self._wait), None)
        except BaseException as error:
            outcome = Outcome(None, error)
        return lambda: self._ended(invocation, outcome, done)

    def _ended(self, invocation: Invocation, outcome: Outcome, done: Done) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()
        done(outcome, self._logs.end(invocation))

    def _wait(self, awaited: Awaitable[Any]) -> Any:
        """Wait on a pool thread for what a hook returned, while the loop runs it."""

        async def settle() -> Outcome:
            try:
                return Outcome(await awaited, None)
            except BaseException as error:  # a SystemExit must not reach the loop
                return Outcome(None, error)

        value, error = asyncio.run_coroutine_threadsafe(settle(), self._loop).result()
        if error is not None:
            raise error
        return value
