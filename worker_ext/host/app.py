"""The local host: one process that serves an app's triggers and keeps its workers running."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ConfigurationError, IndexingError, WorkerExtError
from . import process
from .app_settings import AppSettings, HostOptions, read_settings
from .app_state import AppState
from .console import Console
from .debugger import Debugger
from .invoker import Invoker
from .json_lines import open_json_file
from .keys import MASTER, KeyStore
from .standby import Standby
from .state import state_folder
from .status import HostStatus
from .storage import Storage
from .supervisor import Policy, Supervisor
from .worker_process import WorkerCommand, deadly

if TYPE_CHECKING:
    import ssl as tls

    from ..invocation import LogRecord
    from ..transports.http1 import HttpServer
    from .call import Call
    from .functions import HostedApp
    from .http_front import HttpFront
    from .site import Site
    from .triggers.runner import TriggerRunner

_LAST_ANSWERS = 1.0
"""Seconds that the last answers have to leave when the host stops."""
_LONGEST_BACKOFF = 30.0
_TELL_WAITING = 5.0
"""Seconds after which the console tells, again and again, that the app is still being loaded."""


class Host:
    """Runs an app until it is told to stop.

    :param options: how.
    :param console: where it tells what it does.
    :param standby: a worker process that has been started already.
    :raises ConfigurationError: if a setting is wrong.
    """

    def __init__(self, options: HostOptions, console: Console, standby: Standby | None = None) -> None:
        self._options = options = replace(options, script_root=options.script_root.resolve())
        self._console = console
        self._standby = standby
        self._settings = read_settings(options)
        self._debugger = Debugger.wanted_by(self._settings.arguments, console)
        self._supervisor = Supervisor(self._command, self._policy(self._settings), console, self)
        self._state = AppState(state_folder(options.script_root))
        self._storage = Storage()
        self._invoker = Invoker(self._supervisor, console, self._storage)
        self._status = HostStatus(options.script_root, self._settings.python)
        self._keys = KeyStore(self._state)
        self._front: HttpFront | None = None
        self._site: Site | None = None
        self._triggers: TriggerRunner | None = None
        self._port: int | None = None  # once it is listened on
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal, or :meth:`stop`, says to stop.

        :raises ConfigurationError: if a setting is wrong, or the port cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._console.attach(loop)
        self._announce()
        certificate = self._certificate()
        process.on_signals(loop, self.stop)
        tasks: list[asyncio.Task[None]] = []
        try:
            if self._debugger is not None:
                await self._debugger.start()
            await self._start_worker()
            await asyncio.sleep(0)  # now the worker process exists: it starts up while this one imports the rest
            from ..transports.http1 import HttpServer
            from .clock import SystemClock
            from .http_front import HttpFront, error_page
            from .listening import listen, shown
            from .site import Site
            from .triggers.runner import TriggerRunner

            self._triggers = TriggerRunner(self._invoker, self._console, SystemClock(), self._state, self._storage)
            self._site = site = Site(
                self._status,
                self._options,
                page=self._settings.homepage,
                keys=self._keys,
                invoker=self._invoker,
                supervisor=self._supervisor,
                drain=self._drain,
            )
            keys = self._keys if self._options.enable_auth else None
            scheme = self._options.scheme
            self._front = front = HttpFront(self._invoker, self._console, self._settings, site, keys, scheme=scheme)
            server = HttpServer(front.handle, error_body=error_page, streams=front.streams)
            tasks.append(asyncio.create_task(self._watch()))
            self._port = await listen(server, self._options.address, self._settings.port, certificate)
            self._status.base = f"{scheme}://{shown(self._options.address)}:{self._port}"
            if front.app is not None:
                self._show(front.app)
            tasks.append(asyncio.create_task(self._expire(front)))
            await self._stop.wait()
            await self._end(server)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._supervisor.kill()
            await self._supervisor.close()
            await self._invoker.close()
            if self._front is not None:
                await self._front.close()
            await self._storage.close()
            if self._debugger is not None:
                await self._debugger.close()
            self._console.flush()

    def stop(self) -> None:
        """Stop gracefully: running invocations finish within their grace. The second time: at once."""
        if self._stop.is_set():
            self._supervisor.kill()
        self._stop.set()

    async def _start_worker(self) -> None:
        try:
            await self._supervisor.start()
        except OSError as error:
            raise ConfigurationError(f"cannot open a socket for the workers: {error}") from None

    async def _end(self, server: HttpServer) -> None:
        server.stop_accepting()
        self._status.stopping = True
        if self._site is not None:
            self._site.close()
        running = self._supervisor.running
        self._console.info(f"Stopping; {running} invocations are still running." if running else "Stopping.")
        assert self._triggers is not None
        draining = asyncio.create_task(server.drain(float("inf")))
        finishing = asyncio.create_task(self._triggers.close())
        await self._supervisor.close()
        await asyncio.wait([draining, finishing], timeout=_LAST_ANSWERS)
        server.close()
        finishing.cancel()
        await draining

    # What the supervisor tells (AppListener)

    def app_loaded(self, app: dict[str, Any]) -> None:
        """Serve a new edition of the app."""
        from .functions import host_app

        settings = self._settings
        hosted = host_app(
            app,
            route_prefix=settings.host.http.route_prefix,
            only=settings.functions,
            environ=settings.environ,
            host=settings.host,
        )
        for problem in hosted.problems:
            self._console.error(problem)
        for warning in (*hosted.router.differences(), *hosted.warnings):
            self._console.warning(warning)
        assert self._front is not None
        self._status.app, self._status.problem = hosted, ""
        self._status.route_prefix = settings.host.http.route_prefix
        self._front.serve(hosted)
        if self._site is not None:
            self._site.app_changed()
        if self._port is not None:
            self._show(hosted)

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        """Tell why the app cannot be loaded, and what is served instead."""
        self._status.problem = f"{error}\n{error.detail.rstrip()}" if error.detail else str(error)
        if self._site is not None:
            self._site.app_changed()
        self._console.error(str(error))
        if error.detail:
            self._console.error(error.detail.rstrip())
        if still_serving:
            self._console.warning("The last edition that could be loaded is still being served.")
            return
        self._console.error("No functions are being served. The host waits for an edit, or for an installed package.")
        assert self._front is not None
        assert self._triggers is not None
        self._front.refuse(str(error))
        self._triggers.stop()

    def app_deadly(self, reason: str) -> None:
        """Tell where to look for what ends the workers."""
        self._status.problem = reason
        if self._site is not None:
            self._site.app_changed()
        hint = "To see what it imports last, run:  func host start --language-worker=-v"
        self._console.error(deadly(f"The code in {self._options.script_root}", hint))

    def call_logged(self, call: Call, records: list[LogRecord]) -> None:
        """Pass on what an invocation has logged."""
        self._invoker.logged(call, records)

    def _drain(self, on: bool) -> None:
        """Have triggers start no more invocations, or go on."""
        assert self._triggers is not None
        self._status.draining = on
        if on:
            self._triggers.stop()
        elif self._status.app is not None:
            self._triggers.serve(self._status.app.functions)

    # What people are told

    def _announce(self) -> None:
        console, settings = self._console, self._settings
        console.set_levels(settings.host.log_levels)
        console.heading(f"\nworker-ext local host {__version__}, Python {sys.version.split()[0]}\n")
        console.detail(f"App: {self._options.script_root}")
        console.detail(f"Its Python: {settings.python}")
        console.detail(f"What is kept about it: {self._state.folder}")
        if self._options.enable_auth:
            self._tell_new_keys()
        for name in settings.skipped:
            console.detail(f"Skipping {name!r} from local settings as it's already defined in the environment.")
        for warning in settings.warnings:
            console.warning(warning)

    def _tell_new_keys(self) -> None:
        made = self._keys.ensure()
        if not made:
            return
        self._console.heading("Keys, which are shown only this once, as they are kept as hashes:\n")
        for name, value in made.items():
            what = "master key (opens everything)" if name == MASTER else "host key (opens every function)"
            self._console.heading(f"\t{what}: {value}")
        self._console.heading("")

    def _show(self, app: HostedApp) -> None:
        """Tell what is served, and begin with what no request starts: the port is known, the list has been shown."""
        assert self._triggers is not None
        self._list(app)
        if not self._status.draining:
            self._triggers.serve(app.functions)

    def _list(self, app: HostedApp) -> None:
        console = self._console
        if app.extensions:
            console.detail(f"Worker extensions: {', '.join(app.extensions)}")
        for name in app.disabled:
            console.info(f"The '{name}' function is disabled.")
        if not app.functions:
            console.error("No functions found: every function of this app is in error, disabled, or not asked for.")
            return
        console.heading("\nFunctions:\n")
        for function in app.functions:
            if function.is_http:
                url = self._status.url_of(function)
                methods = f"[{','.join(function.methods)}] " if function.methods else ""
                console.heading(f"\t{function.name}: {methods}{url}\n")
            else:
                console.heading(f"\t{function.name}: {function.trigger['type']}\n")
        if not console.verbose:
            console.heading("For detailed output, run func with --verbose flag.")

    # Listening

    def _certificate(self) -> tls.SSLContext | None:
        """What https needs, if that is what the host is to listen for.

        :raises ConfigurationError: if there is no certificate, and none can be made.
        """
        options = self._options
        if not options.use_https:
            return None
        from .https import given_certificate, own_certificate

        if options.certificate is not None:
            return given_certificate(options.certificate, options.password)
        context, file = own_certificate(self._state, options.address)
        self._console.detail(f"Its certificate, for clients that are to trust it: {file}")
        return context

    async def _expire(self, front: HttpFront) -> None:
        """Answer requests that came before the app was there and have waited as long as it may take to load."""
        limit = self._options.timeout
        reason = f"the function app has not been loaded within {limit:g} s; the host's console may tell why"
        interval = min(1.0, limit / 4)
        waited, told = 0.0, 0.0
        while front.app is None:
            await asyncio.sleep(interval)
            waited += interval
            if not self._status.problem and waited - told >= _TELL_WAITING:
                told = waited
                debugger = "; a debugger may have to be attached first" if self._settings.arguments else ""
                self._console.info(f"Waiting for the worker process to load the app ({waited:.0f} s{debugger}).")
            front.expire(limit, f"{reason}: {self._status.problem}" if self._status.problem else reason)

    # Edits

    async def _watch(self) -> None:
        from .watcher import concerns_the_app, is_installation, watch

        root = self._options.script_root

        def concerns(path: Path) -> bool:
            if self._status.problem and is_installation(path):
                return True
            host = self._settings.host
            return concerns_the_app(path, root, files=host.watch_files, folders=host.watch_directories)

        if not self._settings.host.settings["fileWatchingEnabled"].boolean(True):
            return
        try:
            await watch(root, concerns, self._edited)
        except Exception as error:  # of the system, which may be out of watches, or of the library
            self._console.warning(f"Edits of the app are not noticed any more; restart the host by hand. ({error})")

    def _edited(self, files: Iterable[Path]) -> None:
        names = [str(path.relative_to(self._options.script_root)) for path in files]
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        self._console.info(f"{', '.join(names[:3])}{more} changed; signaling restart.")
        try:
            settings = read_settings(self._options)
            if self._front is not None:
                self._front.apply(settings)
        except WorkerExtError as error:
            self._console.error(f"{error}\nThe settings before this edit stay in force.")
            return
        before, self._settings = self._settings, settings
        for warning in settings.warnings:
            if warning not in before.warnings:
                self._console.warning(warning)
        if settings.port != before.port:
            self._console.warning("The port changes when the host is started anew.")
        self._console.set_levels(settings.host.log_levels)
        self._supervisor.reload(self._policy(settings))

    def _policy(self, settings: AppSettings) -> Policy:
        return Policy(
            processes=1 if self._debugger else settings.processes,
            function_timeout=settings.function_timeout,
            waiting_time=max(self._options.timeout, _LONGEST_BACKOFF),
            connect_timeout=self._options.timeout,
            backoff=(0.25, _LONGEST_BACKOFF),
        )

    def _command(self) -> WorkerCommand:
        settings = self._settings
        standby, self._standby = self._standby, None
        return WorkerCommand(
            python=settings.python,
            arguments=self._debugger.arguments_for_worker(settings.arguments) if self._debugger else settings.arguments,
            kind="azure",
            script_root=self._options.script_root,
            environ=settings.environ,
            standby=standby,
        )


def serve(options: HostOptions, standby: Standby | None = None) -> int:
    """Run the local host until it is told to stop, and return the exit status.

    :param standby: a worker process that has been started already; to be ended by the caller if it is not needed.
    :raises WorkerExtError: if it cannot start.
    """
    json_file = None if options.json_output_file is None else open_json_file(options.json_output_file)
    console = Console(verbose=options.verbose, json_lines=options.json_output, json_file=json_file)
    process.run(lambda: Host(options, console, standby).run())
    return 0
