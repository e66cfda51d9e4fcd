"""Makes the runtime for Python 3.13 behave to hooks as Microsoft's worker for Python up to 3.12 does.

That worker is not on PyPI. It shares with the runtime how it indexes, registers and calls functions; what it does
besides, done here, is to look up the SDK's classic hooks by ``ExtensionMeta`` when a function has been loaded and
around every invocation, and to be called ``azure_functions_worker``.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

from azure.functions import ExtensionMeta

NAME = "azure_functions_worker"

_running: ContextVar[Any] = ContextVar("running")


def disguise(runtime: ModuleType) -> None:
    """Have ``runtime``, which has been imported, be and act as that worker."""
    handler: Any = sys.modules[f"{runtime.__name__}.handle_event"]
    for name in [name for name in sys.modules if name.partition(".")[0] == runtime.__name__]:
        sys.modules[name.replace(runtime.__name__, NAME)] = sys.modules.pop(name)
    dispatcher: Any = ModuleType(f"{NAME}.dispatcher")
    dispatcher.Dispatcher = SimpleNamespace(current=handler)
    sys.modules[dispatcher.__name__] = dispatcher

    get_context, run_sync_func, execute_async = handler.get_context, handler.run_sync_func, handler.execute_async

    def get_and_note_context(*arguments: Any) -> Any:
        context = get_context(*arguments)
        _running.set(context)
        return context

    def run_sync_func_with_hooks(invocation_id: str, context: Any, function: Callable[..., Any], arguments: Any) -> Any:
        return run_sync_func(invocation_id, context, lambda **_: _call_with_hooks(context, function, arguments), {})

    async def execute_async_with_hooks(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        context = _running.get()
        _run_hooks("pre_invocation", context, arguments)
        result = await execute_async(function, arguments)
        _run_hooks("post_invocation", context, arguments, result)
        return result

    handler.get_context = get_and_note_context
    handler.run_sync_func, handler.execute_async = run_sync_func_with_hooks, execute_async_with_hooks
    runtime.function_load_request = partial(_load_with_hooks, runtime.function_load_request)  # type: ignore[attr-defined]


def _call_with_hooks(context: Any, function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    _run_hooks("pre_invocation", context, arguments)
    result = function(**arguments)
    _run_hooks("post_invocation", context, arguments, result)
    return result


def _run_hooks(name: str, context: Any, *arguments: Any) -> None:
    function_hooks = getattr(ExtensionMeta.get_function_hooks(context.function_name), name, [])
    app_hooks = getattr(ExtensionMeta.get_application_hooks(), f"{name}_app_level", [])
    for hook in [*app_hooks, *function_hooks] if name == "pre_invocation" else [*function_hooks, *app_hooks]:
        logger = logging.getLogger(f"azure_functions_worker.extension.{hook.ext_name}")
        try:
            hook.ext_impl(logger, context, *arguments)
        except Exception as error:
            logger.error(error, exc_info=True)


async def _load_with_hooks(load: Callable[[Any], Any], request: Any) -> Any:
    answer = await load(request)
    metadata = request.request.function_load_request.metadata
    for hooks, name in (
        (ExtensionMeta.get_function_hooks(metadata.name), "post_function_load"),
        (ExtensionMeta.get_application_hooks(), "post_function_load_app_level"),
    ):
        for hook in getattr(hooks, name, []):
            hook.ext_impl(metadata.name, metadata.directory)
    return answer
