"""An app that runs in this process, by the runtime and the worker that run it everywhere else."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import azure.functions as sdk

from .. import __version__
from ..errors import ConfigurationError
from ..function import definition_of
from ..hooks.discovery import load_named
from ..hooks.registry import Registry, extensions_enabled
from ..hooks.switches import FLAG
from ..host.functions import HostedFunction
from ..host.routes import Match, Router
from ..host.settings import load_host_json
from ..invocation import LogRecord, Outcome
from ..runtimes.app_path import make_importable
from ..runtimes.azure import v2
from ..runtimes.azure.bindings import BoundFunction
from ..runtimes.azure.runtime import AzureRuntime
from ..runtimes.base import Answer, LoadedApp
from ..worker import propagation
from ..worker.logs import DEBUG_SETTING, LogCollector, PrintStream
from ..worker.worker import Worker
from .clock import Clock
from .result import InvocationResult
from .timers import Timers
from .world import SCRIPT_ROOT, World

R = TypeVar("R", bound=InvocationResult)

AppSource = Any
"""A folder (``str`` or ``Path``), a module, or a function app of the SDK."""


class LocalApp:
    """A function app with its worker, in one world.

    :param source: the app's folder; or a module, or the app object of one.
    :param settings: the app's settings, besides the environment.
    :param extensions: the extensions that run, see :class:`worker_ext.testing.FunctionAppClient`.
    :param clock: the time that timers go by.
    :raises ConfigurationError: if ``source`` is no app.
    :ivar timers: its timers.
    :ivar world: where it keeps what a process has one of.
    :ivar logs: the lines that belong to no invocation.
    """

    def __init__(
        self, source: AppSource, settings: Mapping[str, str], extensions: Sequence[Any] | None, clock: Clock
    ) -> None:
        self._app, self.script = _find(source)
        self.script_root = self.script if self.script.is_dir() else self.script.parent
        environ = {
            FLAG: os.environ.get(FLAG, "1"),
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            SCRIPT_ROOT: str(self.script_root),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            **settings,
        }
        self.world = World(
            self.script_root, environ, functions=None if self._app is None else _calls(self._app), extensions=extensions
        )
        self.timers = Timers(clock)
        self.logs: list[LogRecord] = []
        self._results: dict[str, InvocationResult] = {}
        self._running = 0
        self._runtime = AzureRuntime()
        self._router: Router[str] = Router()
        self._names: list[str] | None = None
        self._capture = contextlib.ExitStack()
        self._collector: LogCollector
        self._worker: Worker
        self._registry: Registry

    async def load(self) -> None:
        """Load the app, on the loop that its functions will run on; its world is shown.

        :raises IndexingError: if it, or one of its functions, cannot be loaded.
        :raises ConfigurationError: if an extension that the settings name cannot be used.
        """
        propagation.install()
        loop = asyncio.get_running_loop()
        self._registry = Registry(enabled=extensions_enabled())
        self._collector = LogCollector(loop, self._take_lines)
        self._worker = Worker(loop, self._registry, self._collector)
        self._worker.timelines = True
        with self.capturing():
            with self.world.loading():
                app = self._load_functions()
            for loaded in app.functions:
                self._worker.load(loaded.function)
            await self._worker.drain()
            if not app.problems:
                await self._worker.startup()
            self._collector.flush_all()
        if app.problems:
            raise app.problems[0]
        self._names = [loaded.function.name for loaded in app.functions]
        self._router = self._make_router()
        self.timers.add(map(self._runtime.bound, self._loaded()))

    async def close(self) -> None:
        """Wait for what is still running, and end the worker."""
        await self._worker.drain()
        with self.capturing():
            await self._worker.shutdown()
            self._collector.flush_all()
        self._worker.close()

    @property
    def functions(self) -> list[str]:
        """The names of its functions.

        :raises ConfigurationError: if the app has not been loaded.
        """
        return list(self._loaded())

    @property
    def extensions(self) -> list[str]:
        """The names of the extensions whose hooks can run.

        :raises ConfigurationError: if the app has not been loaded.
        """
        self._loaded()
        return self._registry.extensions()

    def bound(self, name: str) -> BoundFunction:
        """The function of that name; upper and lower case are the same.

        :raises ConfigurationError: if there is none.
        """
        found = next((known for known in self._loaded() if known.lower() == name.lower()), None)
        if found is None:
            near = get_close_matches(name, self._loaded(), n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(self._loaded())}."
            raise ConfigurationError(f"the app has no function {name!r}", file=self.script, hint=hint)
        return self._runtime.bound(found)

    def match(self, method: str, path: str) -> Match[str] | None:
        """The function that answers a request, and the values of its route's parameters."""
        return self._router.match(method, path)

    async def invoke(
        self, name: str, payload: Sequence[bytes], given: Mapping[str, Any], result: R
    ) -> tuple[R, Answer | None]:
        """Run one invocation; its world is shown.

        :param name: the function's name as it is declared.
        :param payload: what the host would send.
        :param given: arguments that the function is given as they are.
        :param result: takes what becomes of it.
        :returns: the result, and what the host would be sent; ``None`` if it failed.
        """
        result.function, result.invocation_id = name, str(uuid.uuid4())
        self._results[result.invocation_id] = result
        try:
            with self.capturing():
                answer = await self._invoke(name, payload, given, result)
        except Exception as error:  # of converting the input or the output
            result.error, answer = error, None
        finally:
            del self._results[result.invocation_id]
        return result, answer

    async def _invoke(
        self, name: str, payload: Sequence[bytes], given: Mapping[str, Any], result: InvocationResult
    ) -> Answer | None:
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()
        invocation = self._runtime.decode(name, result.invocation_id, payload)
        invocation.arguments.update(given)

        def done(outcome: Outcome, lines: list[LogRecord]) -> None:
            result.logs += lines
            loop.call_soon_threadsafe(ended.set_result, outcome)

        self._worker.invoke(invocation, done)
        try:
            outcome = await asyncio.shield(ended)
        except asyncio.CancelledError:  # the test has given up on it
            self._worker.cancel(invocation.id)
            if invocation.function.is_async:  # a thread cannot be interrupted, and nobody knows when it ends
                await ended
            raise
        result.value, result.error = outcome
        result.timeline = invocation.timeline or []
        return None if outcome.error is not None else self._runtime.encode(invocation, outcome.value)

    @contextlib.contextmanager
    def capturing(self) -> Iterator[None]:
        """While the block runs, what is logged and printed is collected too."""
        self._running += 1
        if self._running == 1:
            self._capture.enter_context(_captured(self._collector))
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._capture.close()

    def _loaded(self) -> list[str]:
        if self._names is None:
            raise not_open()
        return self._names

    def _load_functions(self) -> LoadedApp:
        make_importable(self.script_root)
        load_named(provided={"worker-ext": __version__})
        if self._app is None:
            return self._runtime.load(self.script_root)
        return self._runtime.load_app(self._app, self.script_root, self.script)

    def _make_router(self) -> Router[str]:
        has_settings = (self.script_root / "host.json").is_file()
        host = load_host_json(self.script_root, os.environ) if has_settings else None
        router = Router[str](host.http.route_prefix if host else "api")
        for bound in map(self._runtime.bound, self._loaded()):
            if bound.is_http:
                hosted = HostedFunction(bound.function.name, bound.trigger.binding.raw)
                router.add(hosted.route, hosted.methods, hosted.name, owner=hosted.name)
        return router

    def _take_lines(self, invocation_id: str, lines: list[LogRecord]) -> None:
        result = self._results.get(invocation_id)
        (self.logs if result is None else result.logs).extend(lines)


def not_open() -> ConfigurationError:
    """The error of asking a client something before or after it is there to answer."""
    return ConfigurationError("the client is not open", hint="Use it in its `with` block, or `async with`.")


def _find(source: AppSource) -> tuple[Any, Path]:
    """The app object, ``None`` for that of a folder; and the file, or the folder, that it is in."""
    if isinstance(source, (str, os.PathLike)):
        folder = Path(source).resolve()
        if not folder.is_dir():
            raise ConfigurationError(
                "there is no such folder", file=folder, hint="Give the folder that holds function_app.py or host.json."
            )
        return None, folder
    if isinstance(source, ModuleType):
        script = Path(source.__file__ or "").resolve()
        return v2.the_app(source, script), script
    if isinstance(source, sdk.FunctionRegister):
        return source, _file_of(source)
    raise ConfigurationError(
        f"{source!r} is no function app",
        hint="Give the app's folder, its module, or its azure.functions.FunctionApp object.",
    )


def _file_of(app: Any) -> Path:
    """The file that defines the first function of an app."""
    places = (definition_of(call) for call in _calls(app))
    return next((Path(place[0]) for place in places if place), v2.script_file(Path.cwd()))


def _calls(app: Any) -> list[Callable[..., Any]]:
    """What the user wrote of the functions of an app."""
    return [builder._function.get_user_function() for builder in app._function_builders]


@contextlib.contextmanager
def _captured(collector: LogCollector) -> Iterator[None]:
    """Have a collector take what is logged and printed; where it went before, it still goes."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(min(level, logging.DEBUG if os.environ.get(DEBUG_SETTING) else logging.INFO))
    root.addHandler(collector)
    streams = _Tee(collector, sys.stdout), _Tee(collector, sys.stderr)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        root.removeHandler(collector)
        root.setLevel(level)


class _Tee(PrintStream):
    """A stream whose lines are collected, and which are written to the stream beneath as well."""

    def write(self, text: str) -> int:
        """Take ``text``."""
        self._original.write(text)
        return super().write(text)
