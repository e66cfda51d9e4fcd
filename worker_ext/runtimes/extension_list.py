"""Listing the extensions of an app, in a process of the app's own Python that loads the app and runs none of it.

What it finds goes to standard output as one JSON object: ``enabled``, ``functions`` (the names of all), and
``extensions`` as :func:`worker_ext.hooks.description.describe` has them; or ``error``, if the app cannot be loaded.
What the app itself prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..errors import WorkerExtError
from .app_session import prepare
from .protocol import pack_error
from .table import make_importable
from .worker_session import sdk_unusable


def main(kind: str, script_root: str) -> NoReturn:
    """Load an app, print its extensions, and end.

    :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :param script_root: the app's folder.
    """
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    try:
        listed = _list(kind, Path(script_root).resolve())
    except WorkerExtError as error:
        listed = {"error": pack_error(error)}
    with answer:
        json.dump(listed, answer)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(0)  # threads of the app are not waited for


def _list(kind: str, script_root: Path) -> dict[str, Any]:
    make_importable(kind, script_root)
    try:
        runtime = prepare(kind)
        from ..hooks.description import describe
        from ..hooks.discovery import load_named
        from ..hooks.registry import Registry, extensions_enabled
    except ImportError as error:
        raise sdk_unusable(error) from error
    registry = Registry(enabled=True)  # what would run if it were on is what people want to see
    named = load_named(provided={"worker-ext": __version__})
    app = runtime.load(script_root)
    functions = [loaded.function for loaded in app.functions]
    return {
        "enabled": extensions_enabled(),
        "functions": [function.name for function in functions],
        "extensions": describe(registry, functions, named),
    }
