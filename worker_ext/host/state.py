"""Where the host keeps what belongs to one app and must outlive a restart: keys, certificates, what has run."""

from __future__ import annotations

import contextlib
from pathlib import Path

FOLDER = ".worker_ext"
"""The folder in the app's own. The file watcher ignores it, as its name begins with a dot; Git is told to."""


def state_folder(script_root: Path) -> Path:
    """The folder for the state of one app; it may not exist yet (:func:`make_state_folder`)."""
    return script_root / FOLDER


def make_state_folder(folder: Path) -> None:
    """Make the folder for the state of an app, which nobody else may enter.

    :raises OSError: if it cannot be made.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    with contextlib.suppress(FileExistsError), open(folder / ".gitignore", "x", encoding="utf-8") as ignore:
        ignore.write(
            "# The local host keeps here what belongs to this machine: keys, certificates, what has been run.\n*\n"
        )
