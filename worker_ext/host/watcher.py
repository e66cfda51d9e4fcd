"""Watches the app's folder, so that an edit takes effect without a restart by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

_IGNORED_FOLDERS = frozenset(
    {"__pycache__", "node_modules", "venv", "env", "site-packages", "__blobstorage__", "__queuestorage__"}
)
_SETTINGS = frozenset({"host.json", "local.settings.json"})


def concerns_the_app(path: Path, script_root: Path, *, files: Iterable[str] = (), folders: Iterable[str] = ()) -> bool:
    """Whether a change of ``path`` calls for a reload.

    Python files, ``function.json`` and the settings do; caches, virtual environments and anything in a folder whose
    name begins with a dot do not.

    :param files: names of further files that do (``watchFiles`` in host.json).
    :param folders: folders in which any file does (``watchDirectories`` in host.json).
    """
    try:
        *parents, name = path.relative_to(script_root).parts
    except ValueError:
        return False
    if any(path.is_relative_to(script_root / folder) for folder in folders):
        return True
    if any(parent.startswith(".") or parent in _IGNORED_FOLDERS for parent in parents):
        return False
    return name.endswith(".py") or name == "function.json" or name in files or (not parents and name in _SETTINGS)


async def watch(folder: Path, concerns: Callable[[Path], bool], on_change: Callable[[list[Path]], None]) -> None:
    """Call ``on_change`` with the changed files whenever some concern the app, until cancelled.

    :param concerns: whether a change of a file does.
    :raises OSError: if the folder cannot be watched (any more).
    """
    from watchfiles import awatch  # after the worker has been started: it need not wait for this

    stop = asyncio.Event()
    try:
        async for changes in awatch(
            folder, watch_filter=lambda _, path: concerns(Path(path)), stop_event=stop, debounce=200, step=50
        ):
            on_change(sorted({Path(path) for _, path in changes}))
    finally:
        stop.set()
