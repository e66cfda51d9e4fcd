"""The packages of this repository, how their authors build and upload them, and what comes of it."""

from __future__ import annotations

import email
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

CLASSIC = ("python setup.py sdist bdist_wheel", "twine check --strict dist/*", "twine upload dist/*")
MODERN = ("python -m build", "twine check --strict dist/*", "twine upload -r testpypi dist/*")
"""The two ways to publish. The first ends at the index that twine calls pypi, the second at testpypi."""

_OWN_SETTINGS = ("PIP_", "PYTHON", "TWINE_")
"""Beginnings of variables with which a machine could lead pip or twine elsewhere."""


@dataclass(frozen=True)
class Project:
    """A folder with a ``setup.py``.

    :param folder: the folder.
    :param package: the name that is imported.
    """

    folder: Path
    package: str

    @property
    def name(self) -> str:
        """The name that is installed."""
        return self.package.replace("_", "-")

    def copy(self, to: Path) -> Path:
        """Copy what git holds of it, without the leftovers of builds and whatever else lies there."""
        leftovers = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist")
        to.mkdir(parents=True)
        for entry in self.folder.iterdir():
            if entry.is_file():
                shutil.copy2(entry, to)
            elif entry.name == "tests" or (entry / "__init__.py").is_file():
                shutil.copytree(entry, to / entry.name, ignore=leftovers)
        return to


def find_projects() -> list[Project]:
    """The package at the root, which is the first, and that of each folder of ``extensions``."""
    extensions = [
        Project(setup.parent, init.parent.name)
        for setup in sorted((ROOT / "extensions").glob("*/setup.py"))
        for init in setup.parent.glob("*/__init__.py")
        if init.parent.name != "tests"
    ]
    return [Project(ROOT, "worker_ext"), *extensions]


WORKER_EXT, *EXTENSIONS = PROJECTS = find_projects()


@dataclass(frozen=True)
class Build:
    """What one of the two ways made.

    :param source: the folder that it was made in.
    """

    project: Project
    source: Path

    @cached_property
    def wheel(self) -> Path:
        """The one wheel in ``dist``."""
        (path,) = (self.source / "dist").glob("*.whl")
        return path

    @cached_property
    def sdist(self) -> Path:
        """The one source archive in ``dist``."""
        (path,) = (self.source / "dist").glob("*.tar.gz")
        return path

    @cached_property
    def wheel_files(self) -> dict[str, bytes]:
        """Path in the wheel → content."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    @cached_property
    def sdist_files(self) -> set[str]:
        """Paths of the files in the source archive, below its one folder."""
        with tarfile.open(self.sdist) as archive:
            return {entry.name.partition("/")[2] for entry in archive if entry.isfile()}

    @cached_property
    def package_files(self) -> dict[str, bytes]:
        """Path → content of the files in the wheel that get imported or read, as opposed to its metadata."""
        return {name: content for name, content in self.wheel_files.items() if ".dist-info/" not in name}

    @cached_property
    def metadata(self) -> Message:
        """What the wheel says about itself."""
        return email.message_from_bytes(self.metadata_file("METADATA"))

    def metadata_file(self, name: str) -> bytes:
        """The content of one of the files in the wheel's ``.dist-info``."""
        (path,) = (path for path in self.wheel_files if path.endswith(f".dist-info/{name}"))
        return self.wheel_files[path]


@dataclass(frozen=True)
class Release:
    """A project that was published both ways."""

    project: Project
    classic: Build
    modern: Build


def offline(home: Path) -> dict[str, str]:
    """The environment of a process that has nothing but this machine.

    :param home: its home folder, with the settings of pip and twine that it shall have.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_OWN_SETTINGS) and not name.lower().endswith("_proxy") and name != "VIRTUAL_ENV"
    }
    nowhere = "http://127.0.0.1:9"  # the port of "discard": a proxy that nobody runs
    return {
        **kept,
        "HOME": str(home),
        "USERPROFILE": str(home),
        "HTTP_PROXY": nowhere,
        "HTTPS_PROXY": nowhere,
        "NO_PROXY": "127.0.0.1",
        "NO_COLOR": "1",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_CACHE_DIR": "1",
        "PYTHONUTF8": "1",
        "TWINE_NON_INTERACTIVE": "1",
    }


def run_line(line: str, *, cwd: Path, environ: Mapping[str, str]) -> str:
    """Run a command line of a guide with this interpreter's programs, and return what it printed."""
    name, *arguments = shlex.split(line)
    if arguments == ["-m", "build"]:
        # Left alone, it would make an environment of its own and download setuptools into it.
        arguments.append("--no-isolation")
    return run(name, *arguments, cwd=cwd, environ=environ, scripts=Path(sysconfig.get_path("scripts")))


def run(name: str, *arguments: str, cwd: Path, environ: Mapping[str, str], scripts: Path) -> str:
    """Run a program of the virtual environment whose scripts are in that folder, and return what it printed."""
    program = shutil.which(name, path=str(scripts))
    if program is None and name == "python":
        program = sys.executable
    assert program is not None, f"there is no {name} in {scripts}"
    done = subprocess.run(
        [program, *arguments],
        cwd=cwd,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
    )
    assert done.returncode == 0, f"{name} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
