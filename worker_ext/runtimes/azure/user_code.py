"""Importing what users wrote, and saying what went wrong there in their terms: their file, their line."""

from __future__ import annotations

import importlib
import linecache
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import IndexingError
from ..failure import user_traceback

_HIDDEN = (str(Path(__file__).resolve().parents[2]), "<frozen importlib")


def import_user_module(module: str, script_root: Path, *, function: str | None = None) -> ModuleType:
    """Import a module of the app.

    :param module: its full name.
    :param script_root: the app's folder, to tell its files from those of libraries.
    :param function: the function that it is imported for, if it is one function's own module.
    :raises IndexingError: whatever the module raises, ``SystemExit`` included.
    """
    try:
        return importlib.import_module(module)
    except BaseException as error:
        raise located(error, script_root, function=function) from error


def located(error: BaseException, script_root: Path, *, function: str | None = None) -> IndexingError:
    """The error of a user's module as one that names file, line, reason and remedy.

    :param error: what importing the module, or calling its decorators, raised.
    """
    file, line = _place(error, script_root)
    return IndexingError(
        f"{type(error).__name__}: {_reason(error)}",
        function=function,
        file=file,
        line=line,
        hint=_hint(error, script_root),
        detail=user_traceback(error),
    )


def definition_of(call: Callable[..., Any]) -> tuple[str | None, int | None]:
    """The file and line that define ``call``, beneath its decorators as far as they tell."""
    while hasattr(call, "__wrapped__"):
        call = call.__wrapped__
    code = getattr(call, "__code__", None) or getattr(getattr(call, "__call__", None), "__code__", None)  # noqa: B004
    return (str(Path(code.co_filename).resolve()), code.co_firstlineno) if code else (None, None)


def _place(error: BaseException, script_root: Path) -> tuple[str | None, int | None]:
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    own = [(file, line) for file, line in frames if Path(file).is_relative_to(script_root) and _is_source(file)]
    outside = [(file, line) for file, line in frames if not file.startswith(_HIDDEN)]
    return (own or outside or [(None, None)])[-1]


def _is_source(file: str) -> bool:
    return not any(part in (".venv", ".python_packages", "site-packages") for part in Path(file).parts) and bool(
        linecache.getlines(file)
    )


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    if isinstance(error, SystemExit):
        return f"the module ended the process with exit status {error.code!r}"
    return str(error) or "(no message)"


def _hint(error: BaseException, script_root: Path) -> str | None:
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top = error.name.partition(".")[0]
    if error.name != top and (script_root / top).exists():
        return f"There is a {top!r} in the app's folder; does it hold {error.name!r}?"
    return (
        f"Is the package that holds {top!r} in requirements.txt, and installed there where the app runs?"
        "  pip install -r requirements.txt"
    )
