"""How functions of v2 apps come to run with hooks: when the runtime asks the app for them.

It calls ``FunctionRegister.get_functions``, and ``get_user_function`` of each function for what the user wrote: public
methods of the SDK. From its signature it reads whether to hand over a ``context``, and from the file that defines it
the function's directory.
"""

from __future__ import annotations

import copy
import inspect
import os
import sys
from collections.abc import Callable
from functools import update_wrapper, wraps
from pathlib import Path
from typing import Any

from ..function import Function, definition_of, signature_of
from .bridge import Bridge
from .contexts import added_context, where_context_is
from .shape import Inactive, part_of


def script_name() -> str:
    """The name of the file that holds a v2 app."""
    return os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"


def join(bridge: Bridge, package: str) -> None:
    """Have functions asked for through the bridge.

    :param package: the stock package that asks.
    :raises UnknownShape: if the installed SDK is not as it should be.
    """
    import azure.functions as sdk

    register = part_of(sdk, "FunctionRegister")
    get_functions: Callable[..., list[Any]] = part_of(register, "get_functions")

    @wraps(get_functions)
    def get_functions_with_hooks(app: Any, *args: Any, **kwargs: Any) -> list[Any]:
        functions = get_functions(app, *args, **kwargs)
        bridge.check()
        if not bridge.enabled:
            bridge.leave_alone()
            return functions
        try:
            return [_with_hooks(function, bridge, package) for function in functions]
        except Inactive as reason:
            bridge.give_up(reason)
            bridge.check()
            return functions

    register.get_functions = get_functions_with_hooks


def _with_hooks(declared: Any, bridge: Bridge, package: str) -> Any:
    """A copy of the SDK's function whose user function runs with hooks."""
    name, call, bindings, trigger = (
        part_of(declared, f"get_{part}")() for part in ("function_name", "user_function", "bindings", "trigger")
    )
    parameters = signature_of(call).parameters
    definition = definition_of(call)
    file = definition[0] if definition is not None else _script_file()
    function = Function(
        name,
        call,
        directory=str(Path(file).parent),
        file=file,
        parameters=frozenset(parameters),
        trigger=part_of(trigger, "type"),
    )
    take_context = where_context_is(parameters, {part_of(binding, "name") for binding in bindings}, package)
    entrance = bridge.take(function, take_context)
    # Nobody else defines ASGI and WSGI apps but the SDK: what a traceback shows for them is no line of the script.
    _dress(entrance, call, *(definition or (f"{function.directory}{os.sep}<{name}>", 1)))
    if take_context is added_context:
        _declare_context(entrance)
    declared = copy.copy(declared)
    declared.get_user_function = lambda: entrance
    return declared


def _dress(entrance: Any, call: Callable[..., Any], file: str, line: int) -> None:
    """Have the runtime see in the entrance what it would see in ``call``."""
    update_wrapper(entrance, call)
    if getattr(call, "__annotate__", None) is None:  # what Python 3.14 copies, unless annotations were set by hand
        entrance.__annotations__ = dict(getattr(call, "__annotations__", {}))
    entrance.__signature__ = signature_of(call)
    code = entrance.__code__
    entrance.__code__ = code.replace(co_filename=file, co_firstlineno=line - 1, co_name=entrance.__name__)


def _declare_context(entrance: Any) -> None:
    """Have the runtime see a ``context`` that it is to give."""
    context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY)
    signature: inspect.Signature = entrance.__signature__
    entrance.__signature__ = signature.replace(parameters=[*signature.parameters.values(), context])


def _script_file() -> str:
    """The file of the function app."""
    module = sys.modules.get(Path(script_name()).stem)
    return str(Path(getattr(module, "__file__", None) or script_name()).resolve())
