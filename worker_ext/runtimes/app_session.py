"""Sessions of worker processes that load a whole app at once, of whichever kind it is."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import IndexingError
from .deferral import defer
from .protocol import pack_error
from .table import make_importable, make_runtime
from .worker_session import WorkerSession, sdk_unusable

if TYPE_CHECKING:
    from .base import Runtime


class AppSession(WorkerSession):
    """A session that runs the functions of one app."""

    _runtime: Runtime

    async def _load(self, kind: str, script_root: Path) -> dict[str, object]:
        """Load an app, and return what a host must know of it, as JSON can carry it.

        :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
        :param script_root: the app's folder, absolute.
        :raises IndexingError: if no function of it can be run.
        :raises ConfigurationError: if a setting that says what the app is made of is wrong.
        """
        make_importable(kind, script_root)
        registry = self._make_worker()
        try:
            self._runtime = prepare(kind)
        except ImportError as error:
            raise sdk_unusable(error) from error
        assert self._worker is not None
        with self.logs.without_delay():
            app = self._runtime.load(script_root)
        for loaded in app.functions:
            self._worker.load(loaded.function)
        await self._worker.startup()
        try:
            opened = await self._runtime.open()
        except OSError as error:
            raise IndexingError(f"the app's web server for streamed requests cannot be started: {error}") from error
        return {
            "functions": [loaded.description for loaded in app.functions],
            "problems": [pack_error(problem) for problem in app.problems],
            "extensions": registry.extensions(),
            **opened,
        }


def prepare(kind: str) -> Runtime:
    """Import what runs apps of a kind: late, so that the host can be told if the app's Python lacks a package for it.

    :param kind: a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :raises ImportError: if it does.
    """
    defer("werkzeug")
    import_module("worker_ext.worker.worker")
    return make_runtime(kind)
