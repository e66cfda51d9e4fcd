"""The folder of a function app, as the commands that change it see it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from worker_ext.cli import requirements
from worker_ext.errors import ConfigurationError

Model = Literal["v1", "v2"]
"""A programming model: functions with decorators (v2), or a folder with ``function.json`` for each (v1)."""

V2_FILE = "function_app.py"


class Project:
    """A function app's folder.

    :param root: the folder; made when the first file is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def require_host_json(self) -> None:
        """:raises ConfigurationError: there is no ``host.json``, so that this is not a function app."""
        if not (self.root / "host.json").is_file():
            raise ConfigurationError(
                "there is no host.json here, so this is not the folder of a function app",
                file=self.root,
                hint="Make one with `func init --python`, or go to the folder of your app.",
            )

    def v1_functions(self) -> list[str]:
        """The names of the functions that have a folder with ``function.json``."""
        return sorted(path.parent.name for path in self.root.glob("*/function.json"))

    def model(self, wanted: Model | None) -> Model:
        """The programming model of the app.

        If there is a ``function_app.py``, the worker loads that and ignores every ``function.json``.

        :param wanted: the model that the user asked for, if any.
        :raises ConfigurationError: the folder is of the other model, or of both and ``wanted`` does not say which.
        """
        has_v2_file = (self.root / V2_FILE).is_file()
        v1_functions = self.v1_functions()
        if wanted == "v1" and has_v2_file:
            raise ConfigurationError(
                f"this is a v2 app: beside {V2_FILE}, a v1 function would never be loaded",
                file=self.root / V2_FILE,
                hint=f"Leave out `--model v1`, or remove {V2_FILE}.",
            )
        if wanted == "v2" and v1_functions and not has_v2_file:
            raise ConfigurationError(
                f"this is a v1 app: a {V2_FILE} would switch off its functions ({', '.join(v1_functions)})",
                file=self.root,
                hint="Leave out `--model v2`, or make a new app with `func init`.",
            )
        if wanted is None and has_v2_file and v1_functions:
            raise ConfigurationError(
                f"the folder has functions of both models, and only those of {V2_FILE} are loaded, "
                f"not {', '.join(v1_functions)}",
                file=self.root,
                hint="Say `--model v2` to add to those that are loaded, or move the others to an app of their own.",
            )
        if wanted is not None:
            return wanted
        return "v1" if v1_functions else "v2"

    def add_requirements(self, wanted: Iterable[str]) -> list[str]:
        """Add requirements to ``requirements.txt``, print that, and return those whose package it did not name.

        :raises ConfigurationError: the file cannot be read or written.
        """
        path = self.root / requirements.FILE_NAME
        try:
            text = path.read_bytes().decode() if path.exists() else ""
            missing = requirements.missing(text, wanted)
            if missing:
                path.write_bytes(requirements.append(text, missing).encode())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"cannot be changed: {error}", file=path) from error
        for requirement in missing:
            print(f"Adding {requirement} to {path.name}")
        return missing

    def write(self, name: str, content: str, *, replace: bool = False) -> None:
        """Write a file, and print what became of it.

        A file that exists is kept. With ``replace`` it gives way, but not without a copy: it may be the only one.

        :param name: the file below the root, with slashes.
        :param content: its text.
        :param replace: whether to replace what exists.
        :raises ConfigurationError: it cannot be written.
        """
        path = self.root / name
        try:
            told = _write(path, name, content.encode(), replace=replace)
        except OSError as error:
            raise ConfigurationError(f"cannot be written: {error.strerror}", file=path) from error
        print(told)


def _write(path: Path, name: str, data: bytes, *, replace: bool) -> str:
    told = f"Writing {name}"
    if path.exists():
        if not replace:
            return f"Keeping {name}, which exists already"
        if path.read_bytes() == data:
            return f"Keeping {name}, which is up to date"
        backup = path.with_name(f"{path.name}.bak")
        path.replace(backup)
        told = f"{told}; the old one is now {backup.name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return told
