"""Importing what users wrote, and saying what went wrong there in their terms: their file, their line."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from ..errors import IndexingError
from .failure import message_of, user_traceback

APP_PACKAGE = "__app__"
"""The package that a folder of modules becomes, so that these can import each other relatively."""


def make_package(name: str, folder: Path) -> None:
    """Have the modules of a folder be imported beneath a package of this name, without running anything yet."""
    spec = ModuleSpec(name, None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    sys.modules[name] = importlib.util.module_from_spec(spec)


def in_requirements(package: str) -> str:
    """What to do about a package that is missing, if the app's packages are listed in ``requirements.txt``."""
    return (
        f"Is the package that holds {package!r} in requirements.txt, and installed for the app's Python?\n"
        f"  {sys.executable} -m pip install -r requirements.txt"
    )


def import_user_module(
    module: str,
    script_root: Path,
    file: Path,
    *,
    function: str | None = None,
    remedy: Callable[[str], str] = in_requirements,
) -> ModuleType:
    """Import a module of the app.

    :param module: its full name.
    :param script_root: the app's folder, to tell its files from those of libraries.
    :param file: the module's file.
    :param function: the function that it is imported for, if it is one function's own module.
    :param remedy: what to do about a package that is missing.
    :raises IndexingError: whatever the module raises, ``SystemExit`` included; or if another module has that name.
    """
    try:
        imported = importlib.import_module(module)
    except BaseException as error:
        raise located(error, script_root, file, function=function, remedy=remedy) from error
    found = getattr(imported, "__file__", None)
    if found is None or not file.samefile(found):
        raise IndexingError(
            f"this file cannot be imported: another module is called {module}, {found or 'which is part of Python'}",
            file=file,
            function=function,
            hint="Rename this file.",
        )
    return imported


def located(
    error: BaseException,
    script_root: Path,
    file: Path,
    *,
    function: str | None = None,
    remedy: Callable[[str], str] = in_requirements,
) -> IndexingError:
    """The error of a user's module as one that names file, line, reason and remedy.

    :param error: what importing the module, or calling its decorators, raised.
    :param script_root: the app's folder, to tell its files from those of libraries.
    :param file: the module's file.
    :param function: the function that it is about, if it is about one.
    :param remedy: what to do about a package that is missing.
    """
    where, line = _place(error, script_root, file)
    return IndexingError(
        f"{type(error).__name__}: {_reason(error)}",
        function=function,
        file=where,
        line=line,
        hint=_hint(error, script_root, remedy),
        detail=user_traceback(error),
    )


def _place(error: BaseException, script_root: Path, file: Path) -> tuple[str, int | None]:
    """Where it went wrong: the last line of the app's own on the way there."""
    if isinstance(error, SyntaxError) and error.filename:
        return error.filename, error.lineno
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(error.__traceback__)]
    return next((place for place in reversed(frames) if is_own(Path(place[0]), script_root)), (str(file), None))


def is_own(file: Path, script_root: Path) -> bool:
    """Whether a file is of the app itself, not of a package that was installed into its folder."""
    return file.is_relative_to(script_root) and "site-packages" not in file.relative_to(script_root).parts


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    if isinstance(error, SystemExit):
        return f"the module ended the process with exit status {error.code!r}"
    return message_of(error) or "(no message)"


def _hint(error: BaseException, script_root: Path, remedy: Callable[[str], str]) -> str | None:
    if isinstance(error, ImportError) and "no known parent package" in str(error):
        return "This file is not part of a package: import modules beside it by their names, without a leading dot."
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return None
    top, _, rest = error.name.removeprefix(f"{APP_PACKAGE}.").partition(".")
    if error.name.startswith(f"{APP_PACKAGE}.") or (script_root / f"{top}.py").exists():
        return f"There is no module {'.'.join(filter(None, (top, rest)))!r} in the app's folder."
    if (script_root / top).exists():
        return f"There is a folder {top!r} in the app's folder, but no module {error.name!r} in it."
    return remedy(top)
