"""The v2 programming model: decorated functions of the one function app in ``function_app.py``."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from azure.functions import FunctionRegister

from ...errors import IndexingError
from .bindings import BoundFunction, bind
from .user_code import definition_of, import_user_module, located

SCRIPT_SETTING = "PYTHON_SCRIPT_FILE_NAME"


def script_file(script_root: Path) -> Path:
    """The file that holds the function app: ``function_app.py`` unless :data:`SCRIPT_SETTING` names another."""
    return script_root / os.environ.get(SCRIPT_SETTING, "function_app.py")


def index(script_root: Path) -> Iterator[BoundFunction | IndexingError]:
    """Yield each function of the app, or why it cannot be loaded.

    :raises IndexingError: if the file cannot be imported or defines no function app, or more than one.
    """
    script = script_file(script_root)
    module = import_user_module(script.stem, script_root)
    apps = {name: value for name, value in vars(module).items() if isinstance(value, FunctionRegister)}
    if not apps:
        raise IndexingError(
            "this file defines no function app",
            file=script,
            hint="A v2 app has one at its top level:  app = azure.functions.FunctionApp()",
        )
    if len({id(app) for app in apps.values()}) > 1:
        raise IndexingError(
            f"this file defines {len(apps)} function apps: {', '.join(apps)}; there can be one",
            file=script,
            hint="Make the others blueprints (azure.functions.Blueprint) and register them with the one app.",
        )
    app = next(iter(apps.values()))
    try:
        functions = app.get_functions()
    except BaseException as error:  # the SDK's own checks: no trigger, two functions of one name, ...
        raise located(error, script_root) if not isinstance(error, ValueError) else IndexingError(
            str(error), file=script
        ) from error
    for function in functions:
        try:
            yield _bind(function, script_root, script)
        except IndexingError as error:
            yield error


def _bind(function: Any, script_root: Path, script: Path) -> BoundFunction:
    name, call = function.get_function_name(), function.get_user_function()
    file, line = definition_of(call)
    if file is None or not Path(file).is_relative_to(script_root):  # ASGI and WSGI apps: the SDK's own function
        file, line = str(script), None
    raw = [json.loads(binding) for binding in function.get_raw_bindings()]
    bound = bind(name, call, raw, directory=str(Path(file).parent), file=file, line=line)
    bound.retry = function.get_settings_dict("retry_policy")
    return bound
