"""A function's instances: worker processes that run one call at a time, started as messages wait for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import IndexingError, InvocationError
from ...hooks.switches import FLAG
from ...invocation import LogRecord
from ...runtimes.baetyl import service
from ...runtimes.baetyl.message import Message
from ...runtimes.protocol import unpack_error
from ..call import Call, CallOutcome, Result
from ..console import Console
from ..functions import HostedFunction
from ..interpreter import find_python
from ..invoker import Invoker
from ..storage import Storage
from ..supervisor import Policy, Supervisor
from ..worker_process import WorkerCommand, deadly
from .settings_function import ServiceSettings
from .settings_manager import Pool

Done = Callable[[bytes | InvocationError], None]
"""Told how a call ended: with a reply's payload, empty for no reply, or an error."""


class FunctionPool:
    """Runs a function.

    :param pool: the function and its limits.
    :param settings: those of the service that has its code.
    :param root: the app's folder.
    :param environ: the environment of the instances.
    :param console: shows what happens.
    """

    def __init__(
        self, pool: Pool, settings: ServiceSettings, root: Path, environ: Mapping[str, str], console: Console
    ) -> None:
        self._pool = pool
        self._console = console
        self._root = root
        self._environ = instance_environ(environ, settings, root)
        self._supervisor = Supervisor(self._command, self.policy, console, self)
        self._invoker = Invoker(self._supervisor, console, Storage())  # which no binding of a handler will ask for
        self._function = HostedFunction(pool.name, {"type": "mqttTrigger"})
        self.name = pool.name
        self.settings = settings

    @property
    def policy(self) -> Policy:
        """The limits of the instances."""
        return Policy(
            processes=self._pool.most,
            least=self._pool.least,
            idle_time=self._pool.idle_time,
            one_at_a_time=True,
            function_timeout=self._pool.timeout or None,
            waiting_calls=1_000_000,  # rules hold back what is too much
            waiting_time=math.inf,
            backoff=(0.1, 10.0),
        )

    async def start(self) -> None:
        """Start an instance, which shows whether the function can be loaded."""
        await self._supervisor.start()

    async def close(self) -> None:
        """Let running calls finish within their grace, and end all instances."""
        await self._supervisor.close()

    def kill(self) -> None:
        """End all instances at once."""
        self._supervisor.kill()

    def reload(self) -> None:
        """Load the function's code anew."""
        self._supervisor.reload(self.policy)

    @property
    def running(self) -> int:
        """How many calls are running or waiting."""
        return self._supervisor.running

    def call(self, message: Message, reason: str, done: Done) -> None:
        """Call the function.

        :param message: what with.
        :param reason: why, for people.
        :param done: told once how it ended.
        """
        self._invoker.invoke(self._function, message.pack(), partial(_answered, done), reason=reason)

    # What the supervisor tells (AppListener)

    def call_logged(self, call: Call, records: list[LogRecord]) -> None:
        """Pass on what an invocation has logged."""
        self._invoker.logged(call, records)

    def app_loaded(self, app: dict[str, Any]) -> None:
        """Tell what has been loaded, and why the function has not, if others of its service have."""
        for problem in map(unpack_error, app["problems"]):
            if problem.function == self.name:
                self._tell(problem, still_serving=False)
        if app["extensions"]:
            self._console.detail(f"Worker extensions of {self.name}: {', '.join(app['extensions'])}")

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        """Tell why it cannot be loaded."""
        self._tell(error, still_serving=still_serving)

    def _tell(self, error: IndexingError, *, still_serving: bool) -> None:
        self._console.error(str(error))
        if error.detail:
            self._console.error(error.detail.rstrip())
        if still_serving:
            self._console.warning(f"The last edition of {self.name} that could be loaded is still being served.")
        else:
            self._console.error(f"{self.name} cannot be called until its code is mended.")

    def app_deadly(self, reason: str) -> None:
        """Tell where to look for what ends the instances."""
        self._console.error(deadly(f"The code of {self.name} in {self._root}"))

    def _command(self) -> WorkerCommand:
        return WorkerCommand(
            python=find_python(self._environ, self._root),
            arguments=(),
            kind="baetyl",
            script_root=self._root,
            environ=self._environ,
        )


def _answered(done: Done, _call: Call, outcome: CallOutcome) -> None:
    done(outcome.parts[0] if isinstance(outcome, Result) else outcome)


def instance_environ(environ: Mapping[str, str], settings: ServiceSettings, root: Path) -> dict[str, str]:
    """The environment of an instance.

    Extensions are on unless it says otherwise: a handler that imports one means it, and Baetyl has no other switch.
    """
    return {
        FLAG: "1",
        **environ,
        service.SETTING: service.pack(settings.functions),
        "AzureWebJobsScriptRoot": str(root),
        "PYTHONUNBUFFERED": "1",
    }
