"""``func extensions new``: make the package of a new worker extension."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path

from worker_ext.cli.project import Project
from worker_ext.cli.templates import render
from worker_ext.errors import ConfigurationError

_PREFIX = "python-worker-extension-"
_NAME = re.compile(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", re.ASCII)
_LONGEST = 64  # of a distribution's name that every file system and package index takes

# Each file with its template below templates/extension; {package} is the name that is imported.
_FILES = (
    ("setup.py", "setup.py"),
    ("readme.md", "readme.md"),
    ("CHANGELOG.md", "CHANGELOG.md"),
    ("LICENSE", "LICENSE"),
    ("MANIFEST.in", "MANIFEST.in"),
    (".gitignore", "gitignore"),
    (".github/workflows/test.yml", "workflow.yml"),
    ("src/{package}/__init__.py", "extension.py"),
    ("tests/test_{name}.py", "test_extension.py"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func extensions new``."""
    parser.add_argument("name", help=f"the extension's name, such as audit; its package is {_PREFIX}NAME")
    parser.add_argument("folder", nargs="?", help="where to make it (default: a folder of the package's name)")


def run(arguments: Namespace) -> int:
    """Make the package.

    :raises ConfigurationError: the name does not do, the folder is not empty, or a file cannot be written.
    """
    name = _checked_name(arguments.name)
    distribution = _PREFIX + name
    package = distribution.replace("-", "_")
    names = {
        "name": name,
        "distribution": distribution,
        "package": package,
        "cls": "".join(part.capitalize() for part in name.split("-")) + "Extension",
        "year": str(date.today().year),
    }
    folder = Path(arguments.folder or distribution)
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigurationError("this folder is not empty", file=folder, hint="Choose another folder, or empty it.")
    project = Project(folder)
    for file, template in _FILES:
        path = file.format(package=package, name=name.replace("-", "_"))
        project.write(path, render(f"extension/{template}", **names))
    project.write(f"src/{package}/py.typed", "")
    print(f'\nTry it, in {folder}: pip install -e ".[test]" and pytest')
    return 0


def _checked_name(text: str) -> str:
    """The name without what every package of an extension begins with; words are separated by hyphens."""
    name = text.lower().replace("_", "-").removeprefix(_PREFIX)
    if len(name) > _LONGEST:
        raise ConfigurationError(
            f"an extension's name can have {_LONGEST} letters, and this one has {len(name)}", hint="Shorten it."
        )
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{text!r} cannot be an extension's name",
            hint="It begins with a letter and goes on with letters, digits and single hyphens, as in audit-trail.",
        )
    return name
