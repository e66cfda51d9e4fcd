"""The v1 programming model: a folder per function with a ``function.json``, imported beneath ``__app__``."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ... import jsonc
from ...errors import ConfigurationError, IndexingError
from ...function import definition_of
from ..user_code import APP_PACKAGE, import_user_module, located, make_package
from .bindings import Binding, BoundFunction, bind

_logger = logging.getLogger("worker_ext")


def index(script_root: Path) -> Iterator[BoundFunction | IndexingError]:
    """Yield each function of the app, or why it cannot be loaded; each stands for itself."""
    make_package(APP_PACKAGE, script_root)
    for file in function_files(script_root):
        try:
            yield _load(_Declaration(file), script_root)
        except IndexingError as error:
            yield error


def function_files(script_root: Path) -> list[Path]:
    """The ``function.json`` files of the app, by name of their folders."""
    return sorted(file for file in script_root.glob("*/function.json") if not file.parent.name.startswith("."))


def load_one(
    name: str, folder: Path, script: Path, entry_point: str, bindings: Sequence[Binding], script_root: Path
) -> BoundFunction:
    """Load one function of an app.

    :param name: its name.
    :param folder: its folder.
    :param script: the file that defines it, in the app's folder.
    :param entry_point: what it is called there, empty for ``main``.
    :param bindings: its bindings.
    :raises IndexingError: if it cannot be loaded.
    """
    if APP_PACKAGE not in sys.modules:
        make_package(APP_PACKAGE, script_root)
    parts = script.relative_to(script_root).with_suffix("").parts
    module = ".".join((APP_PACKAGE, *(parts[:-1] if parts[-1] == "__init__" else parts)))
    imported = import_user_module(module, script_root, script, function=name)
    entry_point = entry_point or "main"
    try:
        call = getattr(imported, entry_point, None)
    except BaseException as error:  # of the module's own __getattr__
        raise located(error, script_root, script, function=name) from error
    if not callable(call):
        raise IndexingError(
            f"the function {name} is to be {entry_point}(), which this file does not define",
            function=name,
            file=script,
            hint=f'Define it, or name another with "entryPoint" in {name}/function.json.',
        )
    file, line = definition_of(call) or (str(script), None)
    return bind(name, call, bindings, directory=str(folder), file=file, line=line)


class _Declaration:
    """A ``function.json``.

    :param file: where it is; the function is called as its folder.
    :raises IndexingError: if it cannot be read, or is no JSON object.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.folder = file.parent
        self.name = file.parent.name
        try:
            self._document = jsonc.load(file)
        except (ConfigurationError, OSError) as error:
            message, line = (error.message, error.line) if isinstance(error, ConfigurationError) else (str(error), None)
            raise self._error(message, line) from None
        if not isinstance(self._document.value, dict):
            raise self._error("a JSON object was expected", 1)
        for warning in self._document.warnings:
            _logger.warning("%s", warning)

    @property
    def retry(self) -> dict[str, object] | None:
        """The retry policy, which the host checks."""
        value = self._document.value.get("retry")
        if value is not None and not isinstance(value, dict):
            raise self.error("retry must be a JSON object", "retry")
        return value

    @property
    def disabled(self) -> bool:
        """Whether the function is turned off: by itself, or by the setting that is named here."""
        value = self._document.value.get("disabled", False)
        if isinstance(value, str):
            return os.environ.get(value.strip("%"), "").lower() in ("1", "true")
        return value is True

    def text(self, key: str, default: str) -> str:
        """The text at ``key``."""
        value = self._document.value.get(key) or default
        if not isinstance(value, str):
            raise self.error(f"{key} must be text", key)
        return value

    def bindings(self) -> list[Binding]:
        """The bindings."""
        declared = self._document.value.get("bindings")
        if not isinstance(declared, list):
            raise self.error('a list called "bindings" was expected', "bindings")
        bindings = []
        for at, raw in enumerate(declared):
            try:
                if not isinstance(raw, dict):
                    raise ValueError("a binding must be a JSON object")
                bindings.append(Binding(raw))
            except ValueError as error:
                raise self.error(str(error), "bindings", at) from None
        return bindings

    def error(self, message: str, *path: str | int, hint: str | None = None) -> IndexingError:
        """An error of what is at ``path``."""
        return self._error(message, self._document.line(path), hint)

    def _error(self, message: str, line: int | None, hint: str | None = None) -> IndexingError:
        message = f"the function {self.name} cannot be loaded: {message}"
        return IndexingError(message, function=self.name, file=self.file, line=line, hint=hint)


def _load(declaration: _Declaration, script_root: Path) -> BoundFunction:
    name, bindings = declaration.name, declaration.bindings()
    script = _script(declaration, script_root)
    entry_point = declaration.text("entryPoint", "main")
    bound = load_one(name, declaration.folder, script, entry_point, bindings, script_root)
    bound.retry = declaration.retry
    bound.disabled = declaration.disabled
    return bound


def _script(declaration: _Declaration, script_root: Path) -> Path:
    """The file that defines the function; not resolved, as its folder may be a link to another place."""
    declared = declaration.text("scriptFile", "__init__.py")
    script = Path(os.path.normpath(declaration.folder / declared))
    if script.suffix != ".py" or not script.is_relative_to(script_root):
        message = f"its scriptFile is {declared!r}; it must be a .py file in the app's folder"
        raise declaration.error(message, "scriptFile")
    if not script.is_file():
        message = f"its file {script.relative_to(script_root).as_posix()} does not exist"
        raise declaration.error(message, "scriptFile", hint='Make it, or name another with "scriptFile".')
    if dotted := [part for part in script.relative_to(script_root).with_suffix("").parts if "." in part]:
        message = f"Python cannot import {script.relative_to(script_root).as_posix()}: {dotted[0]!r} contains a dot"
        raise declaration.error(message, "scriptFile")
    return script
