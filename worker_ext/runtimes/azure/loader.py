"""Loading a function app, of whichever programming model it is."""

from __future__ import annotations

import sys
from pathlib import Path

from ...errors import IndexingError
from . import v1, v2
from .bindings import BoundFunction

_DECORATORS = "A v2 app has functions with a trigger decorator, such as  @app.route(route=\"hello\")."


def load(script_root: Path) -> tuple[list[BoundFunction], list[IndexingError]]:
    """Load the functions of an app, and the reasons why others cannot be.

    The v2 file wins over v1 folders, as in the real host.

    :param script_root: the app's folder, absolute.
    :raises IndexingError: if no function can be loaded; it says why.
    """
    packages = script_root / ".python_packages" / "lib" / "site-packages"
    sys.path[:0] = [str(path) for path in (script_root, packages) if path.is_dir()]
    script = v2.script_file(script_root)
    functions, problems = [], []
    for found in v2.index(script_root) if script.is_file() else v1.index(script_root):
        if isinstance(found, BoundFunction):
            functions.append(found)
        else:
            problems.append(found)
    if not functions and not problems:
        raise _nothing_found(script_root, script)
    return functions, problems


def _nothing_found(script_root: Path, script: Path) -> IndexingError:
    if script.is_file():
        return IndexingError("no functions found: the app of this file has none", file=script, hint=_DECORATORS)
    reason = f"no functions found: there is neither a {script.name} (v2) nor a folder with a function.json (v1)"
    nested = next((path for path in script_root.glob(f"*/{script.name}") if ".venv" not in path.parts), None)
    hint = f"Did you mean to start in {nested.parent}?" if nested else "Make one:  func new -t HttpTrigger -n HttpTrigger"
    return IndexingError(reason, file=script_root, hint=hint)
