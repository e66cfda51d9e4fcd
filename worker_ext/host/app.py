"""The local host: one process that serves an app's triggers and keeps its workers running."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ConfigurationError, IndexingError, WorkerExtError
from .console import Console
from .settings import HostJson, LocalSettings, load_host_json, load_local_settings
from .supervisor import Policy, Supervisor
from .worker_process import WorkerCommand, default_python

if TYPE_CHECKING:
    from .functions import HostedApp
    from .http_front import HttpFront

DEFAULT_PORT = 7071
PROCESS_COUNT_SETTING = "FUNCTIONS_WORKER_PROCESS_COUNT"
ENVIRONMENT_SETTING = "AZURE_FUNCTIONS_ENVIRONMENT"


@dataclass(frozen=True)
class HostOptions:
    """The options of ``func host start``; ``None`` leaves a choice to the settings.

    :ivar script_root: the app's folder.
    :ivar port: the port to listen on; 0 for any that is free.
    :ivar address: the address to listen on; loopback unless the user says otherwise.
    :ivar cors: origins of cross-origin requests.
    :ivar cors_credentials: whether these may carry cookies.
    :ivar timeout: seconds that the app has to load.
    :ivar functions: names of the functions to serve; none means all.
    :ivar verbose: whether the console tells more.
    :ivar language_worker: arguments that go between the interpreter and the worker.
    """

    script_root: Path
    port: int | None = None
    address: str = "localhost"
    cors: Sequence[str] = ()
    cors_credentials: bool = False
    timeout: float = 20.0
    functions: Sequence[str] = ()
    verbose: bool = False
    language_worker: str = ""


@dataclass
class Settings:
    """The app's settings as they are now.

    :ivar host: ``host.json``.
    :ivar local: ``local.settings.json``.
    :ivar environ: the environment of the app's workers: ours, and what the settings add.
    :ivar skipped: the settings that the environment overrides.
    """

    host: HostJson
    local: LocalSettings
    environ: dict[str, str]
    skipped: list[str] = field(default_factory=list)


def read_settings(script_root: Path) -> Settings:
    """Read the app's settings.

    :raises ConfigurationError: if a file is wrong, with the place.
    """
    local = load_local_settings(script_root)
    environ, skipped = local.environment(os.environ)
    environ.setdefault(ENVIRONMENT_SETTING, "Development")
    environ.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    environ["AzureWebJobsScriptRoot"] = environ["FUNCTIONS_APPLICATION_DIRECTORY"] = str(script_root)
    environ["PYTHONUNBUFFERED"] = "1"
    return Settings(load_host_json(script_root, environ), local, environ, skipped)


class Host:
    """Runs an app until it is told to stop.

    :param options: how.
    :raises ConfigurationError: if a setting is wrong.
    """

    def __init__(self, options: HostOptions, console: Console) -> None:
        self._options = options
        self._console = console
        self._script_root = options.script_root.resolve()
        self._settings = read_settings(self._script_root)
        self._port = _first(options.port, self._settings.local.http_port, DEFAULT_PORT)
        self._environ_of_worker()  # a mistake in these settings is to be told before anything starts
        self._policy = Policy(
            processes=_process_count(self._settings.environ),
            function_timeout=_seconds(self._settings.host),
            waiting_time=max(options.timeout, 30.0),
        )
        self._supervisor = Supervisor(self._command, self._policy, console, self)
        self._front: HttpFront | None = None
        self._pending: HostedApp | None = None
        self._broken: IndexingError | None = None
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal, or :meth:`stop`, says to stop.

        :raises ConfigurationError: if the port cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._console.attach(loop)
        self._announce()
        _on_signals(loop, self.stop)
        await self._supervisor.start()  # the worker starts up while this process imports its HTTP server
        watching: asyncio.Task[None] | None = None
        try:
            from ..transports.http1 import HttpServer
            from .cors import Cors
            from .http_front import HttpFront, error_page
            from .watcher import watch

            local, options = self._settings.local, self._options
            cors = Cors(options.cors or local.cors, credentials=options.cors_credentials or local.cors_credentials)
            development = self._settings.environ[ENVIRONMENT_SETTING].lower() == "development"
            self._front = front = HttpFront(self._supervisor, self._console, cors, development=development)
            server = HttpServer(front.handle, error_body=error_page)
            await self._listen(server)
            if self._pending is not None:
                self._serve(self._pending)
            elif self._broken is not None:
                front.refuse_early(str(self._broken))
            watching = asyncio.create_task(watch(self._script_root, self._edited, more=self._settings.host.watch_files))
            expiring = asyncio.create_task(self._expire(front))
            await self._stop.wait()
            expiring.cancel()
            server.stop_accepting()
            running = self._supervisor.running
            self._console.info(f"Stopping; {running} invocations are still running." if running else "Stopping.")
            await self._supervisor.close()
            await server.drain(1.0)
        finally:
            if watching is not None:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await watching
            await self._supervisor.close()
            self._console.flush()

    def stop(self) -> None:
        """Stop gracefully: running invocations finish within their grace."""
        if self._stop.is_set():
            self._supervisor.kill()
        self._stop.set()

    # What the supervisor tells (AppListener)

    def app_loaded(self, app: dict[str, Any], *, reloaded: bool) -> None:
        """Serve a new edition of the app."""
        from .functions import host_app

        settings = self._settings
        hosted = host_app(
            app,
            route_prefix=settings.host.http.route_prefix,
            only=self._options.functions or settings.host.functions,
            environ=settings.environ,
        )
        if self._front is None:
            self._pending = hosted
        else:
            self._serve(hosted)

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        """Tell why the app cannot be loaded, and what is served instead."""
        self._console.error(str(error))
        if error.detail:
            self._console.error(error.detail.rstrip())
        if still_serving:
            self._console.warning("The last edition that could be loaded is still being served.")
            return
        self._console.error("No functions are being served. The host waits for an edit of the app.")
        self._broken = error
        if self._front is not None:
            self._front.refuse_early(str(error))

    def _serve(self, hosted: HostedApp) -> None:
        assert self._front is not None
        for problem in hosted.problems:
            self._console.error(problem)
        self._front.serve(hosted)
        self._list(hosted)

    def _list(self, hosted: HostedApp) -> None:
        console = self._console
        if hosted.extensions:
            console.detail(f"Worker extensions: {', '.join(hosted.extensions)}")
        if not hosted.functions:
            console.error("No functions found: every function of this app is in error, disabled, or not asked for.")
            return
        console.heading("\nFunctions:\n")
        prefix = self._settings.host.http.route_prefix
        for function in sorted(hosted.functions, key=lambda function: (not function.is_http, function.name)):
            if function.is_http:
                path = "/".join(part for part in (prefix, function.route.lstrip("/")) if part)
                methods = f"[{','.join(function.methods)}] " if function.methods else ""
                console.heading(f"\t{function.name}: {methods}http://{_shown(self._options.address)}:{self._port}/{path}\n")
            else:
                console.heading(f"\t{function.name}: {function.trigger['type']}\n")
        for function in hosted.functions:
            if not function.is_http:
                kind = function.trigger["type"]
                console.warning(f"{function.name} is loaded, but this host does not start {kind} functions yet.")
        if not console.verbose:
            console.heading("For detailed output, run func with --verbose flag.")

    async def _listen(self, server: Any) -> None:
        address = self._options.address
        try:
            if address != "localhost":
                bound = await server.start(address, self._port)
            else:
                bound = await server.start("127.0.0.1", self._port)
                await self._listen_on_ipv6(server, bound[0][1])
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ConfigurationError(
                    f"port {self._port} on {address} is in use by another program",
                    hint=f"Stop that program, or choose another port:  func host start --port {self._port + 1}",
                ) from None
            raise ConfigurationError(
                f"cannot listen on {address} port {self._port}: {error.strerror or error}",
                hint="Choose another --address or --port.",
            ) from None
        self._port = bound[0][1]

    @staticmethod
    async def _listen_on_ipv6(server: Any, port: int) -> None:
        """Listen on the other loopback address too: browsers may try it first. A machine may have none."""
        try:
            await server.start("::1", port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise

    async def _expire(self, front: HttpFront) -> None:
        """Answer requests that came before the app was there and have waited as long as it may take to load."""
        loop = asyncio.get_running_loop()
        limit = self._options.timeout
        await asyncio.sleep(limit)
        while front.app is None:
            front.refuse_early(f"the function app has not been loaded within {limit:g} s", before=loop.time() - limit)
            await asyncio.sleep(1.0)

    def _edited(self, files: list[Path]) -> None:
        names = ", ".join(str(path.relative_to(self._script_root)) for path in files[:3])
        self._console.info(f"{names} changed; signaling restart.")
        try:
            self._settings = read_settings(self._script_root)
            self._environ_of_worker()
        except WorkerExtError as error:
            self._console.error(f"{error}\nThe settings before this edit stay in force.")
            return
        self._console.set_levels(self._settings.host.log_levels)
        self._broken = None
        self._supervisor.reload()

    def _command(self) -> WorkerCommand:
        return WorkerCommand(
            python=default_python(self._settings.environ, self._script_root),
            arguments=self._worker_arguments,
            kind="azure",
            script_root=self._script_root,
            environ=self._settings.environ,
        )

    def _environ_of_worker(self) -> None:
        runtime = self._settings.environ["FUNCTIONS_WORKER_RUNTIME"]
        if runtime.lower() != "python":
            raise ConfigurationError(
                f"FUNCTIONS_WORKER_RUNTIME is {runtime!r}; this host runs Python functions",
                hint='Set it to "python" in the Values of local.settings.json.',
            )
        try:
            self._worker_arguments = shlex.split(self._options.language_worker, posix=os.name == "posix")
        except ValueError as error:
            raise ConfigurationError(f"--language-worker cannot be split into arguments: {error}") from None

    def _announce(self) -> None:
        console, settings = self._console, self._settings
        console.set_levels(settings.host.log_levels)
        console.heading("")
        console.heading(f"worker-ext local host {__version__}, Python {sys.version.split()[0]}")
        console.heading("")
        console.detail(f"App: {self._script_root}")
        console.detail(f"Its Python: {default_python(settings.environ, self._script_root)}")
        for name in settings.skipped:
            console.detail(f"Skipping {name!r} from local settings as it's already defined in the environment.")
        for warning in (*settings.local.warnings, *settings.host.warnings):
            console.warning(warning)


def serve(options: HostOptions) -> int:
    """Run the local host until it is told to stop, and return the exit status.

    :raises WorkerExtError: if it cannot start.
    """
    console = Console(verbose=options.verbose)
    with contextlib.suppress(ImportError):
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_run(options, console))
        return 0
    asyncio.run(_run(options, console))
    return 0


async def _run(options: HostOptions, console: Console) -> None:
    await Host(options, console).run()


def _on_signals(loop: asyncio.AbstractEventLoop, stop: Any) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop)
        except NotImplementedError:  # Windows
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop))


def _process_count(environ: dict[str, str]) -> int:
    text = environ.get(PROCESS_COUNT_SETTING, "").strip() or "1"
    if not text.isdecimal() or not 1 <= int(text) <= 10:
        raise ConfigurationError(f"{PROCESS_COUNT_SETTING} is {text!r}; it can be 1 to 10")
    return int(text)


def _seconds(host: HostJson) -> float | None:
    return host.function_timeout.total_seconds() if host.function_timeout is not None else None


def _first(*choices: int | None) -> int:
    return next(choice for choice in choices if choice is not None)


def _shown(address: str) -> str:
    if address in ("0.0.0.0", "::", "127.0.0.1"):
        return "localhost"
    return f"[{address}]" if ":" in address else address
