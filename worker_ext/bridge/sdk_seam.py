"""How functions of v2 apps come to run with hooks: when the runtime asks the app for them.

It calls ``FunctionRegister.get_functions``, and ``get_user_function`` of each function for what the user wrote: public
methods of the SDK. From its signature it reads whether to hand over a ``context``, and from the file that defines it
the function's directory.
"""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from functools import update_wrapper, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..function import Function, definition_of
from .contexts import where_context_is
from .shape import UnknownShape, part_of

if TYPE_CHECKING:
    from .bridge import Bridge


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
        try:
            for function in functions:
                if "get_user_function" not in vars(function):  # an app may ask for its functions, too
                    _give_hooks(function, bridge, package)
        except UnknownShape as change:
            bridge.give_up(change)
        return functions

    register.get_functions = get_functions_with_hooks


def _give_hooks(declared: Any, bridge: Bridge, package: str) -> None:
    name, call, bindings = (
        part_of(declared, method)() for method in ("get_function_name", "get_user_function", "get_bindings")
    )
    parameters = inspect.signature(call).parameters
    definition = definition_of(call)
    file = definition[0] if definition is not None else _script_file()
    directory = str(Path(file).parent)
    function = Function(name, call, directory=directory, file=file, parameters=frozenset(parameters))
    take_context = where_context_is(parameters, {part_of(binding, "name") for binding in bindings}, package)
    wrapper = bridge.take(function, take_context)
    # Nobody else defines ASGI and WSGI apps but the SDK: what a traceback shows for them is no line of the script.
    place = definition or (f"{directory}{os.sep}<{name}>", 1)
    declared.get_user_function = lambda: _dressed(wrapper, call, *place)


def _dressed(wrapper: Any, call: Callable[..., Any], file: str, line: int) -> Callable[..., Any]:
    """The wrapper, in which the runtime sees what it would see in ``call``, and a ``context`` that it is to give."""
    update_wrapper(wrapper, call)
    if getattr(call, "__annotate__", None) is None:  # what Python 3.14 copies, unless annotations were set by hand
        wrapper.__annotations__ = dict(getattr(call, "__annotations__", {}))
    signature = inspect.signature(call)
    if "context" not in signature.parameters:
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY)
        signature = signature.replace(parameters=[*signature.parameters.values(), context])
    wrapper.__signature__ = signature
    code = wrapper.__code__
    wrapper.__code__ = code.replace(co_filename=file, co_firstlineno=line - 1, co_name=wrapper.__name__)
    return wrapper  # type: ignore[no-any-return]


def _script_file() -> str:
    """The file of the function app."""
    module = sys.modules.get(Path(script_name()).stem)
    return str(Path(getattr(module, "__file__", None) or script_name()).resolve())
