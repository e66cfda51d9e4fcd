"""Watches the app's folder, so that an edit takes effect without a restart by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path

_IGNORED_FOLDERS = frozenset({"__pycache__", "node_modules", "venv", "env", "__blobstorage__", "__queuestorage__"})
_WATCHED_FILES = frozenset({"host.json", "function.json", "local.settings.json"})


def concerns_the_app(path: Path, script_root: Path, *, more: Iterable[str] = ()) -> bool:
    """Whether a change of ``path`` calls for a reload.

    Python files and the settings do; caches, virtual environments and anything in a folder whose name begins with a
    dot do not.

    :param more: further file names that do (``watchFiles`` in host.json).
    """
    try:
        parts = path.relative_to(script_root).parts
    except ValueError:
        return False
    if any(part.startswith(".") or part in _IGNORED_FOLDERS for part in parts[:-1]):
        return False
    return path.suffix == ".py" or path.name in _WATCHED_FILES or path.name in more


async def watch(script_root: Path, on_change: Callable[[list[Path]], None], *, more: Iterable[str] = ()) -> None:
    """Call ``on_change`` with the changed files whenever some concern the app, until cancelled.

    :param more: see :func:`concerns_the_app`.
    """
    from watchfiles import awatch  # after the worker has been started: it need not wait for this

    names = frozenset(more)

    def wanted(_change: object, path: str) -> bool:
        return concerns_the_app(Path(path), script_root, more=names)

    stop = asyncio.Event()
    try:
        async for changes in awatch(script_root, watch_filter=wanted, stop_event=stop, debounce=200, step=50):
            on_change(sorted({Path(path) for _, path in changes}))
    finally:
        stop.set()
