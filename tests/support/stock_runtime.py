"""Microsoft's own runtime for Python 3.13 and later, in a virtual environment of its own.

Tests that compare with it, or run inside it, start ``stock_python()``. The environment is made from PyPI by
``make test``, or when it is first asked for, and kept in ``.venv/`` with everything else that ``make clean`` removes.
"""

from __future__ import annotations

import glob
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv" / "stock-runtime"

REQUIREMENTS = (
    "azure-functions-runtime>=1.3,<2",
    "azure-functions-runtime-v1>=1.2,<2",
    "azure-functions>=2",
    "azure-functions-durable>=1.4",
    "azurefunctions-extensions-http-fastapi>=1",
    "grpcio>=1.60",
    "h2>=4.1",
    "protobuf>=5",
)
"""What is installed there, besides the packages of this repository, which it sees as they are."""

_OLDEST, _NEWEST = (3, 13), (3, 14)
_TELL_VERSION = "import sys; print(*sys.version_info[:2])"


@cache
def find_python() -> str | None:
    """A Python that the stock runtime can be installed for: this one, one on PATH, or one of pyenv's."""
    return next((found for found in _candidates() if _OLDEST <= _version(found) <= _NEWEST), None)


@cache
def stock_python() -> str:
    """The Python of the environment, which is made if there is none yet. Without a fitting Python, the test is skipped.

    :raises RuntimeError: if pip cannot install what is needed.
    """
    base = find_python()
    if base is None:
        pytest.skip("the stock runtime needs Python 3.13 or 3.14, and this machine has none")
    python = FOLDER / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    made_of, recipe = FOLDER / "made-of", "\n".join([base, *REQUIREMENTS, *_ours()])
    if not made_of.is_file() or made_of.read_text(encoding="utf-8") != recipe:
        shutil.rmtree(FOLDER, ignore_errors=True)
        _run(base, "-m", "venv", str(FOLDER))
        _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS)
        site = sysconfig.get_path("purelib", "venv", {"base": str(FOLDER), "py_version_short": _dotted(base)})
        (Path(site) / "worker_ext_repository.pth").write_text("\n".join(_ours()), encoding="utf-8")
        made_of.write_text(recipe, encoding="utf-8")
    return str(python)


def _ours() -> list[str]:
    """The folders in which this repository's packages lie."""
    return [str(ROOT), *(str(setup.parent) for setup in sorted((ROOT / "extensions").glob("*/setup.py")))]


def _candidates() -> Iterator[str]:
    yield sys.executable
    for name in ("python3.13", "python3.14", "python3", "python"):
        found = shutil.which(name)
        if found is not None:
            yield found
    pyenv = os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))
    yield from sorted(glob.glob(f"{pyenv}/versions/3.1[34]*/bin/python"))
    yield from sorted(glob.glob(f"{pyenv}/pyenv-win/versions/3.1[34]*/python.exe"))


@cache
def _version(python: str) -> tuple[int, ...]:
    """Its version; ``(0,)`` if it cannot be run, like the commands of pyenv for versions that are not chosen."""
    try:
        told = subprocess.run([python, "-c", _TELL_VERSION], capture_output=True, text=True, timeout=20)
        return tuple(map(int, told.stdout.split())) or (0,)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return (0,)


def _dotted(python: str) -> str:
    return ".".join(map(str, _version(python)))


def _run(*command: str) -> None:
    # The settings of the environment that the tests run in are not for another Python.
    environ = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, env=environ, timeout=300, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


if __name__ == "__main__" and find_python() is not None:
    stock_python()
