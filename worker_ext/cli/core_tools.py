"""Hand over to Azure Functions Core Tools what this package does not do.

Our ``func`` usually comes first on PATH (an activated virtual environment sees to that) and hides the ``func``
of Core Tools. So that nobody loses ``func azure functionapp publish`` by installing us, such commands run the
next ``func`` on PATH, with the very same arguments.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import BinaryIO

from worker_ext.errors import ConfigurationError

HANDED_TO = "WORKER_EXT_HANDED_TO"
"""Environment variable: the programs handed over to so far, joined with ``os.pathsep``; none of them is tried
again. Without it, a script that finds its way back to us (such as a pyenv shim) would go round for ever."""

_INSTALL = "npm install --global azure-functions-core-tools@4"
_MARK = b"worker_ext"
_MARK_WITHIN = 4096
"""Where to look for the mark, in bytes from either end: scripts name our module near the beginning, the
launchers that pip makes on Windows carry their script at the end."""


def hand_over(
    command_line: Sequence[str], what: str, *, ours: Sequence[str] = (), suggestion: str | None = None
) -> int:
    """Run Core Tools in place of this process.

    :param command_line: the words after ``func``, passed on as they are.
    :param what: what is wanted of Core Tools, as the beginning of a sentence.
    :param ours: the commands that we do have, for the error.
    :param suggestion: a command of ours that the user may have meant, for the error.
    :returns: the exit status of Core Tools, on Windows; elsewhere they replace this process.
    :raises ConfigurationError: there is no other ``func`` on PATH, or it cannot be started.
    """
    tried = [path for path in os.environ.get(HANDED_TO, "").split(os.pathsep) if path]
    executable = find_core_tools(
        os.environ.get("PATH", ""), extensions=_executable_extensions(), launched_as=sys.argv[0], tried=tried
    )
    if executable is None:
        hints = [f"Did you mean `{suggestion}`?"] if suggestion else []
        if ours:
            hints.append(f"worker-ext itself has: {', '.join(ours)}.")
        hints.append(f"To install Core Tools: {_INSTALL}")
        raise ConfigurationError(
            f"{what} is not part of worker-ext, and no other `func` (Azure Functions Core Tools) is on PATH.",
            hint="\n  ".join(hints),
        )
    environment = {**os.environ, HANDED_TO: os.pathsep.join([*tried, str(executable)])}
    command = [str(executable), *command_line]
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "nt":  # where exec starts a second process and gives the console back at once
            import subprocess

            return subprocess.call(command, env=environment)
        os.execve(executable, command, environment)
    except OSError as error:
        raise ConfigurationError(
            f"it cannot be started in place of worker-ext: {error.strerror}", file=executable, hint=_INSTALL
        ) from error


def find_core_tools(
    search_path: str, *, extensions: Sequence[str], launched_as: str, tried: Collection[str] = ()
) -> Path | None:
    """The first ``func`` that is not ours.

    :param search_path: folders, joined with ``os.pathsep``. Empty entries, which mean the current folder to a
        POSIX shell, are skipped: what lies in a project must not run by its name alone.
    :param extensions: endings of executable files, tried in this order; an empty one for none.
    :param launched_as: what this process was started as (``sys.argv[0]``).
    :param tried: programs to leave out.
    """
    for folder in search_path.split(os.pathsep):
        if not folder:
            continue
        for extension in extensions:
            candidate = Path(folder.strip('"')) / f"func{extension}"
            if str(candidate) not in tried and _is_executable(candidate) and not _is_ours(candidate, launched_as):
                return candidate
    return None


def _executable_extensions() -> list[str]:
    if os.name != "nt":
        return [""]
    return os.environ.get("PATHEXT", ".EXE;.CMD;.BAT").split(os.pathsep)


def _is_executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _is_ours(candidate: Path, launched_as: str) -> bool:
    return _launcher(candidate) == _launcher(Path(launched_as)) or _mentions_us(candidate)


def _launcher(path: Path) -> str:
    """What identifies a console script: on Windows ``func``, ``func.exe`` and ``func-script.py`` are one."""
    resolved = path.resolve()
    return os.path.normcase(resolved.parent / resolved.stem.removesuffix("-script"))


def _mentions_us(path: Path) -> bool:
    """Whether ``path`` is a launcher of ours, perhaps from another environment."""
    try:
        with path.open("rb") as file:
            return _MARK in file.read(_MARK_WITHIN) or _MARK in _tail(file)
    except OSError:  # it may be executable without being readable; `HANDED_TO` ends a circle in any case
        return False


def _tail(file: BinaryIO) -> bytes:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _MARK_WITHIN))
    return file.read()
