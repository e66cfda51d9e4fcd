"""An app, loaded into this process: what every kind of worker process begins with, whoever drives it."""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..errors import IndexingError
from ..worker.logs import LogCollector
from .deferral import defer
from .failure import user_traceback
from .protocol import pack_error
from .table import make_importable, make_runtime

if TYPE_CHECKING:
    from ..worker.worker import Worker
    from .base import Runtime


class Loaded(NamedTuple):
    """A loaded app.

    :ivar worker: runs its invocations.
    :ivar runtime: makes them.
    :ivar description: what a host must know of it, as JSON can carry it.
    """

    worker: Worker
    runtime: Runtime
    description: dict[str, object]


def prepare(kind: str) -> Runtime:
    """Import what runs apps of a kind: late, so that people can be told if the app's Python lacks a package for it.

    :param kind: a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :raises ImportError: if it does.
    """
    defer("werkzeug")
    import_module("worker_ext.worker.worker")
    return make_runtime(kind)


def load(kind: str, script_root: Path, loop: asyncio.AbstractEventLoop, logs: LogCollector) -> Loaded:
    """Load an app, and have the extensions' load hooks run.

    :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :param script_root: the app's folder, absolute.
    :param loop: the event loop that invocations run on.
    :param logs: collects what they write.
    :raises IndexingError: if no function of it can be run.
    :raises ConfigurationError: if a setting that says what the app is made of is wrong.
    """
    make_importable(kind, script_root)
    try:
        runtime = prepare(kind)
        from ..hooks.registry import Registry, extensions_enabled
        from ..worker.worker import Worker

        registry = Registry(enabled=extensions_enabled())
    except ImportError as error:
        raise _sdk_unusable(error) from error
    worker = Worker(loop, registry, logs)
    app = runtime.load(script_root)
    for loaded in app.functions:
        worker.load(loaded.function)
    description: dict[str, object] = {
        "functions": [loaded.description for loaded in app.functions],
        "problems": [pack_error(problem) for problem in app.problems],
        "extensions": registry.extensions(),
    }
    return Loaded(worker, runtime, description)


def _sdk_unusable(error: ImportError) -> IndexingError:
    if isinstance(error, ModuleNotFoundError) and error.name in ("azure", "azure.functions"):
        message = f"the package azure-functions is not installed for the app's Python, {sys.executable}"
        detail = None
    else:
        message = f"the package azure-functions cannot be used by the app's Python, {sys.executable}: {error}"
        detail = user_traceback(error)
    return IndexingError(message, hint=f"{sys.executable} -m pip install --upgrade azure-functions", detail=detail)
