"""The v2 programming model: decorated functions of the one function app in ``function_app.py``."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import azure.functions as sdk

from ...errors import ConfigurationError, IndexingError
from ...function import definition_of
from ..user_code import import_user_module, located
from .bindings import Binding, BoundFunction, bind

SCRIPT_SETTING = "PYTHON_SCRIPT_FILE_NAME"
"""The setting that names another file than ``function_app.py``."""

_FILE_NAME = re.compile(r"\w[\w-]*\.py", re.ASCII)  # what the stock worker allows


def script_file(script_root: Path) -> Path:
    """The file that holds the function app: ``function_app.py`` unless :data:`SCRIPT_SETTING` names another.

    :raises ConfigurationError: if the setting is no name of a Python file in the app's folder.
    """
    name = os.environ.get(SCRIPT_SETTING) or "function_app.py"
    if _FILE_NAME.fullmatch(name) is None:
        raise ConfigurationError(
            f"the setting {SCRIPT_SETTING} is {name!r}, which is no name of a Python file in the app's folder",
            hint="It can have letters, digits, _ and -, and ends in .py, such as  function_app.py",
        )
    return script_root / name


def index(script_root: Path, script: Path) -> Iterator[BoundFunction | IndexingError]:
    """Yield each function of the app, or why it cannot be loaded.

    :param script: the file that holds the function app.
    :raises IndexingError: if the file cannot be imported or defines no function app, or more than one.
    """
    if not hasattr(sdk, "FunctionRegister"):
        version = getattr(sdk, "__version__", "")
        raise IndexingError(
            f"the installed azure-functions {version} is too old for the v2 programming model",
            file=script,
            hint="pip install --upgrade azure-functions",
        )
    yield from index_app(the_app(import_user_module(script.stem, script_root, script), script), script_root, script)


def index_app(app: Any, script_root: Path, script: Path) -> Iterator[BoundFunction | IndexingError]:
    """Yield each function of an app that is there already, or why it cannot be loaded.

    :param app: the function app.
    :param script_root: its folder.
    :param script: the file that it is in.
    """
    app.functions_bindings = None  # of an app that was asked before the SDK believes that it has each function twice
    try:
        functions = app.get_functions()
    except Exception as error:  # the SDK's own checks
        raise _faulty_function(app, script) or located(error, script_root, script) from error
    for function in functions:
        try:
            yield _bind(function, script)
        except IndexingError as error:
            yield error


def the_app(module: ModuleType, script: Path) -> Any:
    """The one function app of a module.

    :raises IndexingError: if there is none, or more than one.
    """
    apps = {name: value for name, value in vars(module).items() if isinstance(value, sdk.FunctionRegister)}
    if not apps:
        blueprint = next((name for name, value in vars(module).items() if isinstance(value, sdk.Blueprint)), None)
        raise IndexingError(
            "this file defines no function app" + (f"; {blueprint} is just a blueprint" if blueprint else ""),
            file=script,
            hint="A v2 app has one at its top level:  app = azure.functions.FunctionApp()",
        )
    if len({id(app) for app in apps.values()}) > 1:
        raise IndexingError(
            f"this file defines {len(apps)} function apps: {', '.join(apps)}; there can be one",
            file=script,
            hint="Make the others blueprints (azure.functions.Blueprint) and register them with the one app.",
        )
    return next(iter(apps.values()))


def _faulty_function(app: Any, script: Path) -> IndexingError | None:
    """Which function the SDK has refused, and where it is: its error tells neither file nor line."""
    places: dict[str, str] = {}
    with contextlib.suppress(AttributeError):  # the SDK's private business, which may change
        for builder in app._function_builders:
            name, call = builder._function.get_function_name(), builder._function.get_user_function()
            file, line = definition_of(call) or (str(script), None)
            if builder._function.get_trigger() is None:
                return IndexingError(
                    f"the function {name} has no trigger",
                    function=name,
                    file=file,
                    line=line,
                    hint=f'Give it a decorator such as  @app.route(route="{name}")',
                )
            if name in places:
                return IndexingError(
                    f"there are two functions called {name}; the first is in {places[name]}",
                    function=name,
                    file=file,
                    line=line,
                    hint='Rename one, or give it another name with  @app.function_name("...")',
                )
            places[name] = f"{file}:{line}"
    return None


def _bind(function: Any, script: Path) -> BoundFunction:
    name, call = function.get_function_name(), function.get_user_function()
    file, line = definition_of(call) or (str(script), None)
    try:
        bindings = [Binding(json.loads(binding)) for binding in function.get_raw_bindings()]
    except (TypeError, ValueError) as error:  # what a decorator was given is no JSON, or makes no binding
        message = f"the function {name} cannot be loaded: {error}"
        raise IndexingError(message, function=name, file=file, line=line) from None
    bound = bind(name, call, bindings, directory=str(Path(file).parent), file=file, line=line)
    if hasattr(function, "get_settings_dict"):  # older versions of the SDK have no retry policies
        bound.retry = function.get_settings_dict("retry_policy")
    return bound
