"""What the host keeps about an app between its starts: when timers ran, which blobs have been handled."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any


class AppState:
    """Small JSON documents by name, and files, in the folder for the app's state.

    A document is replaced as a whole: whoever reads it sees the one before or the one after, even if the machine stops.

    :param folder: the folder (:func:`.state.state_folder`); made when something is kept.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """The folder, which may not exist yet."""

    def read(self, group: str, name: str) -> Any:
        """The document of that name; ``None`` if there is none, or it is damaged.

        :param group: what kind of document it is, such as ``timers``.
        """
        try:
            return json.loads(self._document(group, name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def write(self, group: str, name: str, document: Any) -> None:
        """Keep a document.

        :raises OSError: if the folder cannot be written to.
        """
        file = self._document(group, name)
        _make(file.parent)
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".")
        try:
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(document, stream)
                stream.flush()
                os.fsync(stream.fileno())
            Path(temporary).replace(file)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def file(self, name: str) -> Path:
        """A file in the folder for what is no small document.

        :raises OSError: if the folder cannot be made.
        """
        _make(self.folder)
        return self.folder / name

    def _document(self, group: str, name: str) -> Path:
        """A file for the name, readable where possible; names may differ in nothing but case, or hold any character."""
        readable = "".join(character if character.isalnum() else "-" for character in name)[:60]
        return self.folder / group / f"{readable}.{hashlib.sha256(name.encode()).hexdigest()[:8]}.json"


def _make(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
