"""Somebody who uses the published packages: an app's folder with a virtual environment, and pip's only index."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from publishing.projects import run

_PATHS = "import json, sysconfig; print(json.dumps(sysconfig.get_paths()))"


@dataclass(frozen=True)
class Customer:
    """A function app's folder with its ``.venv``.

    :param app: the folder.
    :param environ: the environment of every process that is run in it.
    :param paths: where the virtual environment keeps what, as :mod:`sysconfig` names it.
    """

    app: Path
    environ: Mapping[str, str]
    paths: Mapping[str, str]

    @classmethod
    def move_in(cls, app: Path, environ: Mapping[str, str]) -> Customer:
        """Make the app's folder and its virtual environment, in which there is pip and nothing else."""
        app.mkdir()
        subprocess.run([sys.executable, "-m", "venv", ".venv"], cwd=app, env=dict(environ), check=True, timeout=100)
        (python,) = (file for file in (app / ".venv").glob("*/python*") if file.stem == "python")
        paths = subprocess.run([python, "-c", _PATHS], env=dict(environ), capture_output=True, check=True).stdout
        return cls(app, environ, json.loads(paths))

    @property
    def python(self) -> Path:
        """The virtual environment's interpreter."""
        return Path(str(shutil.which("python", path=self.paths["scripts"])))

    def run(self, name: str, *arguments: str) -> str:
        """Run a program of the virtual environment in the app's folder, and return what it printed."""
        return run(name, *arguments, cwd=self.app, environ=self.environ, scripts=Path(self.paths["scripts"]))

    def install(self, *arguments: str) -> dict[str, Any]:
        """Run ``pip install`` and return its report on each package that it installed, by name."""
        report = self.app.parent / "report.json"
        self.run("pip", "install", "--quiet", *arguments, "--report", str(report))
        installed = json.loads(report.read_text(encoding="utf-8"))["install"]
        return {canonicalize_name(item["metadata"]["name"]): item for item in installed}

    def give(self, distributions: Iterable[Distribution]) -> None:
        """Put packages into the virtual environment as they are in the environment that runs the tests."""
        for given in distributions:
            for file in given.files or ():
                if ".." not in file.parts:  # a script, which nobody needs here
                    target = Path(self.paths["purelib"], file)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file.locate(), target)


def installed_dependencies(
    requirements: Iterable[str], *, extras: Iterable[str] = (), besides: Iterable[str] = ()
) -> list[Distribution]:
    """What packages need, and what that needs in turn, out of the environment that runs the tests.

    :param requirements: the ``Requires-Dist`` of the packages.
    :param extras: which extras of theirs count.
    :param besides: names of packages that are left out.
    """
    found: dict[str, Distribution] = {}
    seen = set()
    waiting = [(Requirement(text), frozenset(extras)) for text in requirements]
    while waiting:
        requirement, asked = waiting.pop()
        marker = requirement.marker
        if marker is not None and not any(marker.evaluate({"extra": extra}) for extra in asked | {""}):
            continue
        name = canonicalize_name(requirement.name)
        step = (name, frozenset(requirement.extras))
        if name in besides or step in seen:
            continue
        seen.add(step)
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            pytest.skip(f"{name} is not installed here, and without a network nobody could install it")
        waiting += [(Requirement(text), step[1]) for text in found[name].requires or ()]
    return list(found.values())
