"""The host of a Baetyl app: its hub, its rules and the instances of its functions, together."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ... import __version__
from ...errors import ConfigurationError
from ...runtimes.baetyl.service import code_folders
from ...transports.mqtt_broker import Broker
from .. import process
from ..console import Console
from . import application
from .pool import FunctionPool
from .settings_manager import ManagerSettings

if TYPE_CHECKING:
    from .hub import EmbeddedHub
    from .rules import RuleRunner

_LAST_REPLIES = 1.0
"""Seconds that the last replies have to be published when the host stops."""

_SETTINGS = {"application.yml", "service.yml"}


@dataclass(frozen=True)
class BaetylOptions:
    """The options of ``func host start`` for a Baetyl app.

    :ivar script_root: the app's folder.
    :ivar hub: the broker to use instead of that of the settings.
    :ivar hub_ca: the file of the certificates that it is trusted by.
    :ivar hub_cert: the file of our certificate.
    :ivar hub_key: the file of its key.
    :ivar public: whether the embedded hub listens where its settings say, and not on loopback alone.
    :ivar functions: names of the functions to serve; none means all.
    :ivar verbose: whether the console tells more.
    """

    script_root: Path
    hub: str = ""
    hub_ca: Path | None = None
    hub_cert: Path | None = None
    hub_key: Path | None = None
    public: bool = False
    functions: Iterable[str] = ()
    verbose: bool = False


class BaetylHost:
    """Runs an app until it is told to stop.

    :param options: how.
    :param console: where it tells what it does.
    :raises ConfigurationError: if a setting is wrong.
    """

    def __init__(self, options: BaetylOptions, console: Console) -> None:
        self._options = options = replace(options, script_root=options.script_root.resolve())
        self._console = console
        self._app = application.read(options.script_root)
        if not self._app.managers:
            raise ConfigurationError(
                "no service has the image baetyl-function-manager, so there are no rules to run",
                file=self._app.file,
                hint="`func call` runs a function without rules, `func baetyl function` one service of them.",
            )
        self._hubs: dict[str, EmbeddedHub] = {}
        self._pools: dict[str, FunctionPool] = {}
        self._rules: list[RuleRunner] = []
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until a signal, or :meth:`stop`, says to stop.

        :raises ConfigurationError: if a setting is wrong, or the hub's port cannot be listened on.
        """
        loop = asyncio.get_running_loop()
        self._console.attach(loop)
        self._announce()
        process.on_signals(loop, self.stop)
        watching: asyncio.Task[None] | None = None
        try:
            brokers = {name: self._broker(manager) for name, manager in self._app.managers.items()}
            for name, manager in self._app.managers.items():
                await self._start_manager(manager, brokers[name])
            for hub in self._hubs.values():
                await hub.start()
            self._list()
            for rule in self._rules:
                rule.start()
            watching = asyncio.create_task(self._watch())
            await self._stop.wait()
            await self._end()
        finally:
            if watching is not None:
                watching.cancel()
            for pool in self._pools.values():
                pool.kill()
            await asyncio.gather(*(pool.close() for pool in self._pools.values()))
            await asyncio.gather(*(rule.close() for rule in self._rules))
            await asyncio.gather(*(hub.close() for hub in self._hubs.values()), return_exceptions=True)
            self._console.flush()

    def stop(self) -> None:
        """Stop gracefully: running invocations finish within their grace. The second time: at once."""
        if self._stop.is_set():
            for pool in self._pools.values():
                pool.kill()
        self._stop.set()

    def _broker(self, manager: ManagerSettings) -> Broker:
        """The broker of a manager's rules: the one asked for, an embedded hub, or another."""
        options, broker = self._options, manager.broker
        if options.hub:
            try:
                asked = Broker.parse(options.hub)
            except ValueError as error:
                raise ConfigurationError(f"--hub {options.hub!r} is no address of a broker: {error}") from None
            broker = replace(broker, host=asked.host, port=asked.port, secure=asked.secure)
            if asked.username is not None:
                broker = replace(broker, username=asked.username, password=asked.password)
        elif broker.host in self._app.hubs:
            hub = self._embedded(broker.host)
            broker = replace(broker, host=hub.host, port=hub.port, secure=False, modern=False)
        files = {"--hub-ca": options.hub_ca, "--hub-cert": options.hub_cert, "--hub-key": options.hub_key}
        given = [name for name, file in files.items() if file is not None]
        if given and not broker.secure:
            raise ConfigurationError(
                f"{', '.join(given)} would not be used, as the connection to {broker} is not encrypted",
                hint="Give an address such as --hub ssl://HOST:8883.",
            )
        return broker.with_files(ca=options.hub_ca, certificate=options.hub_cert, key=options.hub_key)

    def _embedded(self, name: str) -> EmbeddedHub:
        from .hub import EmbeddedHub

        if name not in self._hubs:
            self._hubs[name] = EmbeddedHub(
                self._app.hubs[name], public=self._options.public, denied=self._console.warning
            )
        return self._hubs[name]

    async def _start_manager(self, manager: ManagerSettings, broker: Broker) -> None:
        from .rules import RuleRunner

        wanted = set(self._options.functions)
        if unknown := wanted - manager.pools.keys():
            raise ConfigurationError(f"there is no function {', '.join(sorted(unknown))}, which is asked for")
        for name, pool in manager.pools.items():
            if wanted and name not in wanted:
                continue
            service = self._app.functions[pool.service]
            runner = self._pools[name] = FunctionPool(pool, service, self._app.root, os.environ, self._console)
            await runner.start()
            self._rules += [
                RuleRunner(rule, broker, runner, self._console) for rule in manager.rules if rule.function == name
            ]

    async def _end(self) -> None:
        for rule in self._rules:
            rule.stop_receiving()
        running = sum(pool.running for pool in self._pools.values())
        self._console.info(f"Stopping; {running} invocations are still running." if running else "Stopping.")
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))
        waiting = asyncio.gather(*(rule.replied() for rule in self._rules))
        await asyncio.wait([waiting], timeout=_LAST_REPLIES)
        waiting.cancel()

    # What people are told

    def _announce(self) -> None:
        console = self._console
        console.heading(f"\nworker-ext local host {__version__}, Python {sys.version.split()[0]}\n")
        console.detail(f"App: {self._app.file}")
        for warning in self._app.warnings:
            console.warning(warning)
        for name, image in self._app.skipped.items():
            console.warning(f"The service {name} is not run: this host has no {image}.")

    def _list(self) -> None:
        console = self._console
        if not self._options.hub:
            for name in self._app.hubs.keys() - self._hubs.keys():
                named = ", ".join(manager.address for manager in self._app.managers.values()) or "nobody's"
                console.warning(
                    f"The hub {name} of the app is not run, as its name is in no hub.address: the rules' is {named}."
                )
        for hub in self._hubs.values():
            listed = ", ".join(map(str, hub.addresses))
            console.warning(f"The embedded hub listens on {listed}; {_first_try()}.")
        console.heading("\nFunctions:\n")
        for manager in self._app.managers.values():
            for rule in manager.rules:
                if rule.function in self._pools:
                    console.heading(f"\t{rule.function}: {rule.topic} -> {rule.reply_topic or '(no reply)'}\n")

    # Edits

    async def _watch(self) -> None:
        from ..watcher import watch

        folders = {folder for service in self._app.functions.values() for folder in code_folders(service.functions)}

        def concerns(path: Path) -> bool:
            return path.name in _SETTINGS or (
                path.suffix == ".py" and any(path.is_relative_to(folder) for folder in folders)
            )

        try:
            await watch(self._app.root, concerns, self._edited)
        except Exception as error:  # of the system, which may be out of watches, or of the library
            self._console.warning(f"Edits of the app are not noticed any more; restart the host by hand. ({error})")

    def _edited(self, files: Iterable[Path]) -> None:
        edited = list(files)
        for path in edited:
            if path.name in _SETTINGS:
                self._console.warning(f"{path.relative_to(self._app.root)} changed: start the host anew to use it.")
        changed = [path for path in edited if path.name not in _SETTINGS]
        if not changed:
            return
        names = ", ".join(str(path.relative_to(self._app.root)) for path in changed[:3])
        self._console.info(f"{names}{' and more' if len(changed) > 3 else ''} changed; the functions are loaded anew.")
        for pool in self._pools.values():
            if any(path.is_relative_to(folder) for path in changed for folder in code_folders(pool.settings.functions)):
                pool.reload()


def serve(options: BaetylOptions) -> int:
    """Run the host until it is told to stop, and return the exit status.

    :raises WorkerExtError: if it cannot start.
    """
    console = Console(verbose=options.verbose)
    process.run(lambda: BaetylHost(options, console).run())
    return 0


def _first_try() -> str:
    from .hub import FIRST_TRY

    return FIRST_TRY
