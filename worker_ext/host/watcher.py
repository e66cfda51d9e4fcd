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
    name begins with a dot do not. A folder does if anything in it does: it is new, or has been moved.

    :param files: names of further files that do (``watchFiles`` in host.json).
    :param folders: folders in which any file does (``watchDirectories`` in host.json).
    """
    try:
        *parents, name = path.relative_to(script_root).parts
    except ValueError:
        return False
    if any(path.is_relative_to(script_root / folder) for folder in folders):
        return True
    if any(_is_ignored(parent) for parent in parents):
        return False
    if path.is_dir():
        return not _is_ignored(name) and any(
            concerns_the_app(inner, script_root, files=files, folders=folders) for inner in _content(path)
        )
    return name.endswith(".py") or name == "function.json" or name in files or (not parents and name in _SETTINGS)


def is_installation(path: Path) -> bool:
    """Whether ``path`` appears when a package is installed, which may be what an app that cannot be loaded lacks."""
    return path.name.endswith(".dist-info") or path.parent.name.endswith(".dist-info")


async def watch(folder: Path, concerns: Callable[[Path], bool], on_change: Callable[[list[Path]], None]) -> None:
    """Call ``on_change`` with what has changed whenever some of it concerns the app, until cancelled.

    :param concerns: whether a change of a file or folder does.
    :raises OSError: if the folder cannot be watched.
    """
    from watchfiles import awatch  # after the worker has been started: it need not wait for this

    stop = asyncio.Event()
    try:
        async for changes in awatch(
            folder,
            watch_filter=lambda _, path: concerns(Path(path)),
            stop_event=stop,
            debounce=200,
            step=50,
            ignore_permission_denied=True,
        ):
            on_change(sorted({Path(path) for _, path in changes}))
    finally:
        stop.set()


def _is_ignored(folder: str) -> bool:
    return folder.startswith(".") or folder in _IGNORED_FOLDERS


def _content(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it has gone again, or is not for us to read
        return []
