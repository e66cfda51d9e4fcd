"""What the sessions of all worker processes have in common, whichever protocol their host speaks."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NoReturn

from .. import __version__
from ..errors import IndexingError
from ..invocation import LogRecord
from ..worker import propagation
from ..worker.logs import LogCollector, capture
from .deferral import defer
from .failure import user_traceback

if TYPE_CHECKING:
    from ..hooks.registry import Registry
    from ..worker.worker import Worker


class WorkerSession(ABC):
    """The time between a worker's connecting to its host and the connection's end.

    :param loop: the event loop, on which everything but sync functions runs.
    :ivar logs: collects what this process logs and prints.
    :ivar finished: whether it was to end, with all said; otherwise the host has gone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._worker: Worker | None = None
        self._ended = asyncio.Event()
        self._abandoned = False
        self.logs = LogCollector(loop, self._ship)
        self.finished = False

    @abstractmethod
    async def run(self) -> None:
        """Connect to the host and serve it until it says stop, or is gone.

        :raises OSError: if the host cannot be reached.
        """

    @abstractmethod
    def _ship(self, invocation_id: str, lines: list[LogRecord]) -> None:
        """Send log lines apart from any answer; those of no invocation have an empty id."""

    def abandon(self) -> None:
        """Leave the connection to the process that this one was forked from.

        User code may fork; what returns into this package in the child must neither answer nor read the host's
        messages.
        """
        self._abandoned = True
        self._loop.call_soon(os._exit, 1)  # if the child goes on to run its copy of the loop

    async def _wait_for_end(self) -> None:
        """Wait until the connection ends. User code that cancels all tasks of the loop cancels this one as well."""
        while not self._ended.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await self._ended.wait()

    def _capture(self) -> None:
        """From now on collect what this process logs and prints."""
        capture(self.logs, os.environ)
        propagation.install()

    def _make_worker(self) -> Registry:
        """Make the worker and the registry of its extensions, with the settings that there are now.

        The app's own packages must be importable: extensions that the settings name are imported now.

        :raises IndexingError: if the app's Python lacks the package that these need.
        :raises ConfigurationError: if an extension that the settings name cannot be used.
        """
        defer("werkzeug")
        try:
            from ..hooks.discovery import load_named
            from ..hooks.registry import Registry, extensions_enabled
            from ..worker.worker import Worker
        except ImportError as error:
            raise sdk_unusable(error) from error
        gc.enable()  # boot.py has turned it off: imports make nothing that could be collected
        registry = Registry(enabled=extensions_enabled())
        load_named(provided={"worker-ext": __version__})
        self._worker = Worker(self._loop, registry, self.logs)
        return registry

    def _say_all(self) -> None:
        """Send what has been printed and logged and still waits."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # user code may have put anything there
                stream.flush()
        self.logs.flush_all()


def end_cut_off() -> NoReturn:
    """End this process, whose code has closed descriptors that are not its own.

    Nothing can be answered any more, and the loop would wait for ever, with the connection held open: the other side
    would never learn of it.
    """
    with contextlib.suppress(OSError):
        os.write(2, b"the app has closed file descriptors that its worker needs; the worker ends\n")
    os._exit(1)


def sdk_unusable(error: ImportError) -> IndexingError:
    """The error of an app whose Python lacks ``azure-functions``, or has one that cannot be imported."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("azure", "azure.functions"):
        message = f"the package azure-functions is not installed for the app's Python, {sys.executable}"
        detail = None
    else:
        message = f"the package azure-functions cannot be used by the app's Python, {sys.executable}: {error}"
        detail = user_traceback(error)
    return IndexingError(message, hint=f"{sys.executable} -m pip install --upgrade azure-functions", detail=detail)
