"""Handlers as Functions: found by their names in the code folders, called with ``event`` and ``context``."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from ...errors import IndexingError
from ...function import Function, definition_of, is_async_callable, signature_of
from ..user_code import APP_PACKAGE, import_user_module, located, make_package
from .service import FunctionEntry, code_folders

_PARAMETERS = ("event", "context")


def load(functions: Iterable[FunctionEntry]) -> tuple[list[Function], list[IndexingError]]:
    """Load functions; each that cannot be loaded becomes an error, and the others go on."""
    functions = list(functions)
    loaded, problems = [], []
    for number, folder in enumerate(code_folders(functions)):
        package = f"{APP_PACKAGE}{number or ''}"
        prepared = False
        for entry in functions:
            if Path(entry.codedir) != folder:
                continue
            try:
                if not prepared:
                    _make_package(package, folder, entry)
                    prepared = True
                loaded.append(_load(entry, package, folder))
            except IndexingError as error:
                problems.append(error)
    return loaded, problems


def _make_package(package: str, folder: Path, entry: FunctionEntry) -> None:
    """Make the folder a package, for relative imports among its modules; its ``__init__.py`` runs, if it has one."""
    if not folder.is_dir():
        raise IndexingError(
            f"the function {entry.name} cannot be loaded: its codedir does not exist",
            function=entry.name,
            file=folder,
            hint="codedir is a path as the service sees it: below a mount or the app's folder in an app, and below the"
            " working directory for an instance alone.",
        )
    init = folder / "__init__.py"
    if not init.is_file():
        make_package(package, folder)
        return
    spec = spec_from_file_location(package, init, submodule_search_locations=[str(folder)])
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[package] = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        raise located(error, folder, init, function=entry.name, remedy=_unpack(folder)) from error


def _unpack(folder: Path) -> Callable[[str], str]:
    return lambda package: (
        f"Unpack the package that holds {package!r} beside the handler:  func pack --target {folder} {package}"
    )


def _load(entry: FunctionEntry, package: str, folder: Path) -> Function:
    module_name, _, attribute = entry.handler.rpartition(".")
    file = folder.joinpath(*module_name.split(".")).with_suffix(".py")
    if not file.is_file() and file.with_suffix("").is_dir():
        file = file.with_suffix("") / "__init__.py"
    if not file.is_file():
        raise IndexingError(
            f"the function {entry.name} cannot be loaded: its handler is {entry.handler!r}, but there is no such file",
            function=entry.name,
            file=file,
            hint="A handler is written as module.function: get.handler is handler() in get.py of the codedir.",
        )
    module = import_user_module(f"{package}.{module_name}", folder, file, function=entry.name, remedy=_unpack(folder))
    sys.modules.setdefault(module_name, module)  # who imports it by its plain name gets the same
    call = getattr(module, attribute, None)
    if not callable(call):
        raise IndexingError(
            f"the function {entry.name} is to be {attribute}(), which this file does not define",
            function=entry.name,
            file=file,
            hint=f"service.yml says {entry.handler!r}, which is module.function: define it here, or change that.",
        )
    where, line = definition_of(call) or (str(file), None)
    return Function(
        entry.name,
        _called_by_name(entry.name, call, where, line),
        directory=str(folder),
        file=where,
        parameters=frozenset(_PARAMETERS),
    )


def _called_by_name(name: str, call: Callable[..., Any], file: str, line: int | None) -> Callable[..., Any]:
    """A handler takes its two arguments by position, whatever it calls them; hooks know them by their names.

    :raises IndexingError: if it cannot be called with two.
    """
    try:
        signature = signature_of(call)
    except (TypeError, ValueError):  # written in C: no signature to hold it to
        return _by_position(call)
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise IndexingError(
            f"the function {name} cannot be called with an event and a context: {error}",
            function=name,
            file=file,
            line=line,
            hint="A handler takes two arguments:  def handler(event, context)",
        ) from None
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if tuple(signature.parameters) == _PARAMETERS and set(kinds) == {inspect.Parameter.POSITIONAL_OR_KEYWORD}:
        return call
    return _by_position(call)


def _by_position(call: Callable[..., Any]) -> Callable[..., Any]:
    if is_async_callable(call):

        async def handle_async(event: Any, context: Any) -> Any:
            return await call(event, context)

        return handle_async

    def handle(event: Any, context: Any) -> Any:
        return call(event, context)

    return handle
