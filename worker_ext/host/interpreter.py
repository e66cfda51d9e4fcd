"""Which Python runs an app. The command line asks before anything else is imported, so this imports next to nothing."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

PYTHON = "languageWorkers__python__defaultExecutablePath"
"""The setting that names the app's Python."""


def find_python(environ: Mapping[str, str], script_root: Path) -> str:
    """The interpreter that runs an app: a setting's, the active virtual environment's, the app's own, or ours.

    A virtual environment whose interpreter has been removed counts too: to run the app with another one, without its
    packages, would only hide what is wrong.
    """
    named = environ.get(PYTHON)
    if named:
        return named
    folders = [Path(folder) for folder in (environ.get("VIRTUAL_ENV"), script_root / ".venv") if folder]
    for folder in folders:
        for candidate in (folder / "bin" / "python", folder / "Scripts" / "python.exe"):
            if candidate.is_file() or candidate.is_symlink():
                return str(candidate)
    return sys.executable
