"""Where stock runtimes take their functions from, and how they come to take them with hooks.

v2
    The runtime asks the app for its functions (``FunctionRegister.get_functions``) and each of them for what the user
    wrote (``Function.get_user_function``): the SDK's public methods. From its signature it reads whether to hand over
    a ``context``, and from the file that defines it the function's directory.
v1
    The runtime keeps what it has loaded in its ``Registry``. There each entry is replaced as it is added.

Functions that were registered before :mod:`worker_ext` was imported are replaced in the registry too, in both models.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Callable, Collection, Iterable
from functools import update_wrapper, wraps
from pathlib import Path
from typing import Any

from ..function import Function, definition_of
from ..hooks.pipeline import run_load_hooks
from ..hooks.registry import Registry, extensions_enabled
from .contexts import context_by_invocation
from .crossing import TakeContext, added_context, declared_context, with_hooks


def install_in(packages: Iterable[str]) -> None:
    """Have the functions of this process run with their hooks.

    :param packages: the stock packages that are loaded.
    """
    if not extensions_enabled():
        return
    bridge = Bridge(Registry(enabled=True))
    bridge.join_sdk()
    for package in packages:
        bridge.join_registry(package)


class Bridge:
    """Gives the functions of a stock runtime their hooks.

    :param registry: the extensions whose hooks run.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()

    def join_sdk(self) -> None:
        """Have the functions of v2 apps asked for through the bridge."""
        import azure.functions as sdk

        get_functions: Callable[..., list[Any]] = sdk.FunctionRegister.get_functions

        @wraps(get_functions)
        def get_functions_with_hooks(app: Any, *args: Any, **kwargs: Any) -> list[Any]:
            functions = get_functions(app, *args, **kwargs)
            for function in functions:
                if "get_user_function" not in vars(function):
                    self._give_hooks(function)
            return functions

        sdk.FunctionRegister.get_functions = get_functions_with_hooks

    def join_registry(self, package: str) -> None:
        """Have the functions that a runtime has registered, and those of v1 apps that it will, run with their hooks."""
        modules = sys.modules
        stock = modules[f"{package}.functions"].Registry
        for function_id in list(modules[f"{package}.handle_event"]._functions._functions):
            self._replace(package, modules[f"{package}.handle_event"]._functions, function_id)
        if not hasattr(stock, "add_function"):
            return
        add_function: Callable[..., Any] = stock.add_function

        @wraps(add_function)
        def add_function_with_hooks(registered: Any, function_id: str, *args: Any, **kwargs: Any) -> Any:
            added = add_function(registered, function_id, *args, **kwargs)
            self._replace(package, registered, function_id)
            return added

        stock.add_function = add_function_with_hooks

    def _give_hooks(self, sdk_function: Any) -> None:
        name, call = sdk_function.get_function_name(), sdk_function.get_user_function()
        file, line = definition_of(call) or (_script_file(), None)
        parameters = inspect.signature(call).parameters
        bound = {binding.name for binding in sdk_function.get_bindings()}
        function = Function(
            name, call, directory=str(Path(file).parent), file=file, parameters=frozenset(parameters)
        )
        wrapper = self._load(function, _where_context_is(parameters, bound, "azure_functions_runtime"))
        _dress(wrapper, function, line)
        sdk_function.get_user_function = lambda: wrapper

    def _replace(self, package: str, registered: Any, function_id: str) -> None:
        info = registered._functions[function_id]
        parameters = inspect.signature(info.func).parameters
        bound = {*info.input_types, *info.output_types}
        file, _ = definition_of(info.func) or ("", None)
        function = Function(
            info.name, info.func, directory=info.directory, file=file, parameters=frozenset(parameters)
        )
        wrapper = self._load(function, _where_context_is(parameters, bound, package))
        registered._functions[function_id] = info._replace(
            func=wrapper, requires_context="context" not in bound, is_async=function.is_async
        )

    def _load(self, function: Function, take_context: TakeContext) -> Callable[..., Any]:
        loop = _running_loop()
        run_load_hooks(function, self._registry, self._finish_loading)
        return with_hooks(function, self._registry, loop, take_context)

    def _finish_loading(self, rest: Any) -> None:
        task = asyncio.get_running_loop().create_task(rest)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _where_context_is(parameters: Collection[str], bound: Collection[str], package: str) -> TakeContext:
    if "context" in bound:
        return context_by_invocation(package)
    return declared_context if "context" in parameters else added_context


def _dress(wrapper: Any, function: Function, line: int | None) -> None:
    """Have the runtime see in the wrapper what it would see in the function, and a ``context`` that it is to give."""
    update_wrapper(wrapper, function.call)
    if getattr(function.call, "__annotate__", None) is None:  # what Python 3.14 copies, unless annotations were set
        wrapper.__annotations__ = dict(getattr(function.call, "__annotations__", {}))
    signature = inspect.signature(function.call)
    if "context" not in signature.parameters:
        context = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY)
        signature = signature.replace(parameters=[*signature.parameters.values(), context])
    wrapper.__signature__ = signature
    # The one line of the wrapper's code is its second.
    file, first = (f"{function.directory}/<{function.name}>", 0) if line is None else (function.file, line - 1)
    wrapper.__code__ = wrapper.__code__.replace(co_filename=file, co_firstlineno=first, co_name=wrapper.__name__)


def _script_file() -> str:
    """The file of the function app, for functions that the SDK itself defines, as it does for ASGI and WSGI apps."""
    name = os.environ.get("PYTHON_SCRIPT_FILE_NAME") or "function_app.py"
    module = sys.modules.get(Path(name).stem)
    return str(Path(getattr(module, "__file__", None) or name).resolve())
