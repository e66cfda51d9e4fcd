"""A worker process that starts up beside its host instead of after it.

What a worker imports before it looks at its app takes as long as all that the host does before it knows how workers are
to be started. So the first worker is started on a guess, by the command line, before the rest of the host is imported:
the guess is that no setting changes the interpreter or what that reads when it starts. It then waits on its standard
input for its order; if the guess was wrong, it is ended, and a worker is started as always.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .interpreter import find_python

BOOT = Path(__file__).resolve().parents[1] / "boot.py"
"""The script that every worker process runs."""

UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
"""What every worker's environment has: what it writes past its log is to be seen at once."""

_LONGEST_ORDER = 32_768  # bytes; a pipe that nobody reads yet holds as much, so that writing never waits
_READ_AT_START = ("LD_", "DYLD_", "LC_", "LANG", "MALLOC_", "GLIBC_")


class Standby:
    """A worker process without an app.

    :param kind: the kind of app that it will most likely run.
    :param script_root: the folder of that app, absolute.
    :raises OSError: if the app's Python cannot be run.
    """

    def __init__(self, kind: str, script_root: Path) -> None:
        self._kind = kind
        self._script_root = script_root
        self._environ = {**os.environ, **UNBUFFERED}
        self._python = find_python(self._environ, script_root)
        self._process = start_process([self._python, str(BOOT), kind], cwd=script_root, environ=self._environ)
        self._taken = False

    def take(
        self,
        address: str,
        kind: str,
        script_root: Path,
        *,
        python: str,
        arguments: Sequence[str],
        environ: Mapping[str, str],
    ) -> subprocess.Popen[bytes] | None:
        """Give the process its order and hand it over, once; ``None``, and its end, if it is not what was guessed.

        :param address: where the host listens.
        :param kind: the kind of app.
        :param script_root: the app's folder.
        :param python: the interpreter that is to run the app.
        :param arguments: what goes between the interpreter and the script.
        :param environ: the environment that the worker is to have.
        """
        if self._taken:
            return None
        changed = {name: value for name, value in environ.items() if self._environ.get(name) != value}
        removed = [name for name in self._environ if name not in environ]
        order = {"arguments": [address, kind, str(script_root)], "environ": changed, "unset": removed}
        line = json.dumps(order).encode() + b"\n"
        asked, guessed = (kind, script_root, python, *arguments), (self._kind, self._script_root, self._python)
        if asked == guessed and len(line) <= _LONGEST_ORDER and not any(map(_is_read_at_start, (*changed, *removed))):
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(line)
                self._taken = True
                return self._process
            except OSError:  # it has ended; a worker that is started as always will tell why
                pass
        self.discard()
        return None

    def discard(self) -> None:
        """End the process, unless it has been handed over."""
        if self._taken:
            return
        self._taken = True
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


def standby_for(kind: str, script_root: Path) -> Standby | None:
    """Start a worker process for an app on the guess described above, if that has a chance to be right."""
    if (script_root / ".python_packages").exists():  # the app brings packages that come before those imported by then
        return None
    try:
        return Standby(kind, script_root)
    except OSError:  # told when a worker is started as always
        return None


def start_process(command: Sequence[str], *, cwd: Path, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start a process with pipes for its standard input and for both of its outputs together.

    :raises OSError: if it cannot be run, or there is no such folder.
    """
    return subprocess.Popen(
        command,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=environ,
        # A group of its own: Ctrl-C is ours to handle, and what it starts can be ended with it.
        start_new_session=os.name == "posix",
    )


def _is_read_at_start(name: str) -> bool:
    """Whether a variable counts only for a process that is started with it. Azure's own settings are PYTHON_…."""
    is_pythons = name.startswith("PYTHON") and not name.startswith("PYTHON_")
    return is_pythons or name == "TZ" or name.startswith(_READ_AT_START)
