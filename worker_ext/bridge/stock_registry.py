"""How functions come to run with hooks that the runtime loads by itself, as it does in v1 apps: in its own registry.

There each function's entry is replaced, when it is added, or if it is there already: a v1 app may import
:mod:`worker_ext` with any of its functions, a v2 app after all of them have been asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

from ..function import Function, definition_of
from .contexts import where_context_is
from .shape import UnknownShape, module_of, part_of

if TYPE_CHECKING:
    from .bridge import Bridge

_FIELDS = {"func", "name", "directory", "requires_context", "is_async", "input_types", "output_types"}


def join(bridge: Bridge, package: str) -> None:
    """Have the functions that a stock package has registered, and those that it will, run with their hooks.

    :raises UnknownShape: if it does not register functions as it should.
    """
    entries = part_of(_registry(package), "_functions")
    if entries:
        bridge.check_or_end()
    for function_id in list(entries) if bridge.enabled else ():
        _replace(entries, function_id, bridge, package)
    kind = part_of(module_of(package, "functions"), "Registry")
    if not hasattr(kind, "add_function"):  # a runtime for v2 apps alone
        return
    add_function: Callable[..., Any] = kind.add_function

    @wraps(add_function)
    def add_function_with_hooks(registry: Any, function_id: str, *args: Any, **kwargs: Any) -> Any:
        added = add_function(registry, function_id, *args, **kwargs)
        bridge.check_or_end()
        if bridge.enabled:
            try:
                _replace(part_of(registry, "_functions"), function_id, bridge, package)
            except UnknownShape as change:
                bridge.give_up(change)
                bridge.check_or_end()
        return added

    kind.add_function = add_function_with_hooks


def _registry(package: str) -> Any:
    if package == "azure_functions_worker":
        return part_of(part_of(module_of(package, "dispatcher"), "Dispatcher").current, "_functions")
    return part_of(module_of(package, "handle_event"), "_functions")


def _replace(entries: Any, function_id: str, bridge: Bridge, package: str) -> None:
    entry = entries.get(function_id)
    if not set(getattr(entry, "_fields", ())) >= _FIELDS:
        raise UnknownShape(f"{package} keeps functions in another way")
    parameters = inspect.signature(entry.func).parameters
    definition = definition_of(entry.func)
    file = definition[0] if definition is not None else ""
    function = Function(entry.name, entry.func, directory=entry.directory, file=file, parameters=frozenset(parameters))
    bound = {*entry.input_types, *entry.output_types}
    wrapper = bridge.take(function, where_context_is(parameters, bound, package))
    entries[function_id] = entry._replace(
        func=wrapper, requires_context="context" not in bound, is_async=function.is_async
    )
