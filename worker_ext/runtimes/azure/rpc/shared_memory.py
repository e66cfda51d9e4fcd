"""Large data between host and worker on one machine: files in memory instead of messages.

A file begins with one byte that is 1 once it is in use, and eight with the length of what follows, little-endian.
Whoever wrote a file keeps it until the other side has read it; the host says when.
"""

from __future__ import annotations

import os
import struct
import uuid
from collections.abc import Mapping
from pathlib import Path

from ....hooks.switches import is_on

SWITCH = "FUNCTIONS_WORKER_SHARED_MEMORY_DATA_TRANSFER_ENABLED"
"""The setting that has the host use shared memory, and the worker for what it sends."""

FOLDERS_SETTING = "UNIX_SHARED_MEMORY_DIRECTORIES"
"""The setting that names other places than ``/dev/shm``, separated by commas."""

SMALLEST = 1024 * 1024
LARGEST = 2 * 1024 * 1024 * 1024
"""The sizes in bytes between which data goes through shared memory."""

_HEAD = struct.Struct("<?q")
_FOLDER = "AzureFunctions"


def folders(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Where the files are, in the order in which the places are tried."""
    places = environ.get(FOLDERS_SETTING) or "/dev/shm"
    return [Path(place.strip()) / _FOLDER for place in places.split(",")]


def available(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether this system has such files: those that there are and those that can be made."""
    return os.name == "posix" and any(_usable(folder) for folder in folders(environ))


def enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether :data:`SWITCH` is on."""
    return is_on(SWITCH, environ)


def read(name: str, offset: int, count: int) -> bytes:
    """What a file holds.

    :param name: the file's name.
    :param offset: where to begin.
    :param count: how many bytes.
    :raises ValueError: if that is no name of such a file, or it holds less.
    :raises OSError: if there is none, or it cannot be read.
    """
    if not name or Path(name).name != name:
        raise ValueError(f"{name!r} is no name of a file in shared memory")
    if offset < 0 or not 0 <= count <= LARGEST:
        raise ValueError(f"shared memory {name} cannot hold {count} bytes at {offset}")
    file = next((folder / name for folder in folders() if (folder / name).is_file()), None)
    if file is None:
        raise FileNotFoundError(f"there is no shared memory called {name}")
    with file.open("rb") as opened:
        head = opened.read(_HEAD.size)
        if len(head) < _HEAD.size or _HEAD.unpack(head)[1] < offset + count:
            raise ValueError(f"shared memory {name} holds less than {offset + count} bytes")
        opened.seek(offset, os.SEEK_CUR)
        content = opened.read(count)
    if len(content) < count:
        raise ValueError(f"shared memory {name} holds less than {offset + count} bytes")
    return content


class Outgoing:
    """The files that this worker has written for its host."""

    def __init__(self) -> None:
        self._files: dict[str, Path] = {}

    def write(self, content: bytes) -> str | None:
        """Write a file and give its name; ``None`` if there is no room for it anywhere."""
        name = str(uuid.uuid4())
        for folder in folders():
            if not _usable(folder):
                continue
            file = folder / name
            try:
                with file.open("xb") as opened:
                    opened.write(_HEAD.pack(True, len(content)))
                    opened.write(content)
            except OSError:
                file.unlink(missing_ok=True)
                continue
            self._files[name] = file
            return name
        return None

    def release(self, name: str, *, keep: bool = False) -> bool:
        """Let go of a file, and remove it; whether it was one of these.

        :param keep: leave it there: the host goes on using it.
        """
        file = self._files.pop(name, None)
        if file is None:
            return False
        if not keep:
            file.unlink(missing_ok=True)
        return True

    def release_all(self) -> None:
        """Remove all files that the host has not asked to be let go of."""
        for name in list(self._files):
            self.release(name)


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.R_OK | os.W_OK | os.X_OK)
