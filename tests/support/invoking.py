"""A worker in the test's own process, and a trace of what ran there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import sys
import threading
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase

from worker_ext.context import Context
from worker_ext.function import Function
from worker_ext.hooks.registry import Registry
from worker_ext.invocation import Invocation, LogRecord, Outcome
from worker_ext.worker.logs import LogCollector, capture
from worker_ext.worker.worker import Worker

DEADLINE = 20.0
"""Seconds that anything may take before a test gives up on it."""

ERRORS = [
    ValueError("no"),
    SystemExit(3),
    KeyboardInterrupt(),
    asyncio.CancelledError(),
    GeneratorExit(),
    StopIteration("no"),
    BaseException("no"),
]
"""What functions and hooks may raise."""


def thread_kind() -> str:
    """``loop`` on the event loop, ``pool`` on a pool thread, else the thread's name."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        name = threading.current_thread().name
        return "pool" if name.startswith("function-") else name
    return "loop"


class Step(NamedTuple):
    """One call of a hook or a function."""

    name: str
    function: str
    thread: str
    arguments: Mapping[str, Any]
    result: Any = None


class Trace(list[Step]):
    """What ran, in order. A step whose name is in ``errors`` raises that error."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: dict[str, BaseException] = {}

    def note(self, name: str, function: str, arguments: Mapping[str, Any], result: Any = None) -> None:
        shown = {key: value for key, value in arguments.items() if key != "context"}
        self.append(Step(name, function, thread_kind(), shown, result))
        if name in self.errors:
            raise self.errors[name]

    @property
    def names(self) -> list[str]:
        return [step.name for step in self]

    def app_extension(self, name: str, base: type = AppExtensionBase) -> type:
        """Define an application-level extension that notes every call of its hooks."""

        def load(cls, function_name, function_directory, *args, **kwargs):
            self.note(f"{cls.__name__}.load", function_name, {"directory": function_directory})

        def pre(cls, logger, context, func_args=None, *args, **kwargs):
            self.note(f"{cls.__name__}.pre", context.function_name, func_args)

        def post(cls, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            self.note(f"{cls.__name__}.post", context.function_name, func_args, func_ret)

        hooks = {"post_function_load": load, "pre_invocation": pre, "post_invocation": post}
        body = {f"{hook}_app_level": classmethod(implementation) for hook, implementation in hooks.items()}
        return types.new_class(name, (base,), exec_body=lambda namespace: namespace.update(body))

    def function_extension(self, name: str, base: type = FuncExtensionBase) -> type:
        """Define a function-level extension that notes every call of its hooks."""

        def init(instance, file_path):
            FuncExtensionBase.__init__(instance, file_path)

        def load(instance, function_name, function_directory, *args, **kwargs):
            self.note(f"{name}.load", function_name, {"directory": function_directory})

        def pre(instance, logger, context, func_args=None, *args, **kwargs):
            self.note(f"{name}.pre", context.function_name, func_args)

        def post(instance, logger, context, func_args=None, func_ret=None, *args, **kwargs):
            self.note(f"{name}.post", context.function_name, func_args, func_ret)

        body = {"__init__": init, "post_function_load": load, "pre_invocation": pre, "post_invocation": post}
        return types.new_class(name, (base,), exec_body=lambda namespace: namespace.update(body))

    def function(self, kind: str) -> Callable[..., Any]:
        """A ``sync`` or ``async`` function that notes its calls and answers ``answer to <req>``."""

        def main(req, context):
            self.note("function", context.function_name, {"req": req})
            return f"answer to {req}"

        async def main_async(req, context):
            await asyncio.sleep(0)
            return main(req, context)

        return main if kind == "sync" else main_async


class Answer(NamedTuple):
    """How an invocation ended."""

    value: Any
    error: BaseException | None
    lines: list[LogRecord]

    @property
    def messages(self) -> list[str]:
        return [line.message for line in self.lines]


class LocalWorker:
    """A worker and its loop. It is told of invocations as a runtime would tell it, and answers to the test."""

    def __init__(
        self, runner: asyncio.Runner, *, enabled: bool = True, environ: Mapping[str, str] | None = None
    ) -> None:
        self.runner = runner
        self.loop = runner.get_loop()
        self.shipped: list[tuple[str, LogRecord]] = []
        self.logs = LogCollector(self.loop, lambda owner, lines: self.ship(owner, lines))
        self.registry = Registry(enabled=enabled)
        self.worker = Worker(self.loop, self.registry, self.logs, environ or {})
        self.answers: list[str] = []
        self.latest: Invocation | None = None
        self._ids = itertools.count(1)

    def load(
        self,
        call: Callable[..., Any],
        name: str = "HttpTrigger",
        *,
        file: str = "",
        directory: str = "folder",
        parameters: frozenset[str] = frozenset({"req", "context"}),
        trigger: str = "httpTrigger",
    ) -> Function:
        """Load a function."""
        function = Function(name, call, directory=directory, file=file, parameters=parameters, trigger=trigger)
        with sole_handler(self.logs):
            self.worker.load(function)
        return function

    def start(self, function: Function, req: Any = "req", *, id: str | None = None) -> asyncio.Future[Answer]:
        """Invoke a function; call this on the loop. The invocation id is ``id``, else 1, 2, 3, ... in turn."""
        context = Context(function.name, function.directory, id or str(next(self._ids)))
        arguments = {"req": req, "context": context}
        invocation = Invocation(function, {k: v for k, v in arguments.items() if k in function.parameters}, context)
        self.latest = invocation
        answered: asyncio.Future[Answer] = self.loop.create_future()

        def done(outcome: Outcome, lines: list[LogRecord]) -> None:
            self.answers.append(invocation.id)
            self.loop.call_soon_threadsafe(answered.set_result, Answer(*outcome, lines))

        self.worker.invoke(invocation, done)
        return answered

    def invoke(self, function: Function, req: Any = "req", **options: Any) -> Answer:
        """Invoke a function and wait for its answer."""

        async def call() -> Answer:
            return await self.start(function, req, **options)

        return self.run(call())

    def ship(self, owner: str, lines: list[LogRecord]) -> None:
        """Take lines that are sent ahead, or belong to no invocation; a test may replace it."""
        self.shipped += [(owner, line) for line in lines]

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the worker's loop."""
        with sole_handler(self.logs):
            return self.runner.run(asyncio.wait_for(coroutine, DEADLINE))

    def messages(self, owner: str = "") -> list[str]:
        """What has been sent ahead for an invocation, or without one."""
        self.logs.flush_all()
        return [line.message for found, line in self.shipped if found == owner]


@contextlib.contextmanager
def captured(worker: LocalWorker, environ: Mapping[str, str] | None = None) -> Iterator[None]:
    """Route the process's logging and printing to a worker's collector. (Pytest replaces what a fixture would set.)"""
    call_handlers, log = logging.Logger.callHandlers, logging.Logger._log
    with (
        contextlib.redirect_stdout(sys.stdout),
        contextlib.redirect_stderr(sys.stderr),
        sole_handler(worker.logs),
    ):
        capture(worker.logs, environ or {})
        try:
            yield
        finally:
            logging.Logger.callHandlers, logging.Logger._log = call_handlers, log
            logging.captureWarnings(False)


@contextlib.contextmanager
def sole_handler(handler: logging.Handler) -> Iterator[None]:
    """Make a handler the only one there is, as the collector is in a worker process."""
    root = logging.root
    handlers, level = root.handlers, root.level
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.handlers = handlers
        root.setLevel(level)
