"""Where Python finds the modules and packages of handlers."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from .service import code_folders, unpack


def make_importable(_script_root: Path) -> None:
    """Make the code folders import roots: behind Python's own library, before installed packages.

    So a package that was unpacked into a code folder wins over an installed one, and neither it nor a handler called
    ``queue.py`` hides a module of the standard library from those that need it.
    """
    folders = [str(folder) for folder in code_folders(unpack(os.environ))]
    others = [entry for entry in sys.path if entry not in folders]
    at = _after_the_library(others)
    sys.path[:] = [*others[:at], *folders, *others[at:]]


def _after_the_library(path: list[str]) -> int:
    """The place behind the last entry that belongs to Python's own library."""
    library = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    library |= {folder / "lib-dynload" for folder in library} | {Path(sys.base_prefix, "DLLs").resolve()}
    return max((at + 1 for at, entry in enumerate(path) if entry and Path(entry).resolve() in library), default=0)
