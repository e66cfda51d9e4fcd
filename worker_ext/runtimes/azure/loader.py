"""Loading a function app, of whichever programming model it is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ...errors import IndexingError
from . import v2
from .bindings import BoundFunction


def load(script_root: Path) -> tuple[list[BoundFunction], list[IndexingError]]:
    """Load the functions of an app, and the reasons why others cannot be.

    The v2 file wins over v1 folders, as in the real host.

    :param script_root: the app's folder, absolute.
    :raises IndexingError: if there is no function, loadable or not; it says why.
    :raises ConfigurationError: if a setting that says where the functions are is wrong.
    """
    script = v2.script_file(script_root)
    if script.is_file():
        return _sorted(v2.index(script_root, script), script_root, script)
    from . import v1  # it reads function.json, which takes more than most apps need

    return _sorted(v1.index(script_root), script_root, script)


def load_app(app: Any, script_root: Path, script: Path) -> tuple[list[BoundFunction], list[IndexingError]]:
    """Load the functions of a v2 app that exists already, as :func:`load` does those of one in a file.

    :param app: the function app.
    :param script_root: the app's folder, absolute.
    :param script: the file that the app is in.
    :raises IndexingError: if it has no function.
    """
    return _sorted(v2.index_app(app, script_root, script), script_root, script)


def _sorted(
    found: Iterable[BoundFunction | IndexingError], script_root: Path, script: Path
) -> tuple[list[BoundFunction], list[IndexingError]]:
    functions: list[BoundFunction] = []
    problems: list[IndexingError] = []
    for one in found:
        if isinstance(one, BoundFunction):
            functions.append(one)
        else:
            problems.append(one)
    if not functions and not problems:
        raise _nothing_found(script_root, script)
    return functions, problems


def _nothing_found(script_root: Path, script: Path) -> IndexingError:
    from . import v1

    if script.is_file():
        hint = 'Give it functions with a trigger decorator, such as  @app.route(route="hello")'
        if ignored := [file.parent.name for file in v1.function_files(script_root)]:
            hint += f"\n  The v1 functions {', '.join(ignored)} are ignored, because there is a {script.name}."
        return IndexingError("no functions found: the app of this file has none", file=script, hint=hint)
    nested = next((file for name in (script.name, "*/function.json") for file in _nested(script_root, name)), None)
    if nested is not None:
        hint = f"Did you mean to start in {nested.relative_to(script_root).parts[0]}?"
    else:
        hint = "Make one:  func new -t HttpTrigger -n HttpTrigger"
    reason = f"no functions found: there is neither a {script.name} (v2) nor a folder with a function.json (v1)"
    return IndexingError(reason, file=script_root, hint=hint)


def _nested(script_root: Path, name: str) -> list[Path]:
    found = sorted(script_root.glob(f"*/{name}"))
    return [file for file in found if not file.relative_to(script_root).parts[0].startswith(".")]
