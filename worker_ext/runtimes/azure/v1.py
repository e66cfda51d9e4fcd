"""The v1 programming model: a folder per function with a ``function.json``, imported beneath ``__app__``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import IndexingError
from .bindings import BoundFunction, bind
from .user_code import definition_of, import_user_module

_PACKAGE = "__app__"


def index(script_root: Path) -> Iterator[BoundFunction | IndexingError]:
    """Yield each function of the app, or why it cannot be loaded; each stands for itself."""
    package = ModuleType(_PACKAGE)
    package.__path__ = [str(script_root)]
    sys.modules[_PACKAGE] = package
    for path in function_files(script_root):
        try:
            yield _load(path, script_root)
        except IndexingError as error:
            yield error


def function_files(script_root: Path) -> list[Path]:
    """The ``function.json`` files of the app, by name of their folders."""
    return sorted(path for path in script_root.glob("*/function.json") if not path.parent.name.startswith("."))


def _load(path: Path, script_root: Path) -> BoundFunction:
    name = path.parent.name
    declared = _read(path, name)
    script = (path.parent / declared.get("scriptFile", "__init__.py")).resolve()
    if script.suffix != ".py" or not script.is_relative_to(script_root):
        raise IndexingError(
            f'the function {name} has the scriptFile "{declared.get("scriptFile")}";'
            " it must be a .py file within the app's folder",
            function=name,
            file=path,
        )
    if not script.is_file():
        raise IndexingError(f"the function {name} needs {script.name}, which is not there", function=name, file=script)
    parts = script.relative_to(script_root).with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    module = import_user_module(".".join((_PACKAGE, *parts)), script_root, function=name)
    entry_point = declared.get("entryPoint") or "main"
    call = getattr(module, entry_point, None)
    if not callable(call):
        raise IndexingError(
            f"the function {name} is to be {entry_point}(), which this file does not define",
            function=name,
            file=script,
            hint=f"Define it, or name another with \"entryPoint\" in {name}/function.json.",
        )
    _, line = definition_of(call)
    bound = bind(name, call, declared["bindings"], directory=str(path.parent), file=str(script), line=line)
    bound.retry = declared.get("retry")
    bound.disabled = declared.get("disabled") is True
    return bound


def _read(path: Path, name: str) -> dict[str, Any]:
    try:
        declared = json.loads(path.read_bytes())
    except ValueError as error:
        line = getattr(error, "lineno", None)
        raise IndexingError(
            f"the function {name} cannot be loaded: its function.json is not valid JSON:"
            f" {getattr(error, 'msg', error)}",
            function=name,
            file=path,
            line=line,
        ) from None
    if not isinstance(declared, dict) or not _is_list_of_objects(declared.get("bindings")):
        raise IndexingError(
            f'the function {name} cannot be loaded: its function.json has no list of "bindings"',
            function=name,
            file=path,
        )
    return declared


def _is_list_of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
