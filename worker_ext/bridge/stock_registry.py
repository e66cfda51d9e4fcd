"""How functions come to run with hooks that the runtime loads by itself, as it does in v1 apps: in its own registry.

There each function's entry is replaced, when it is added, or if it is there already: a v1 app may import
:mod:`worker_ext` with any of its functions, a v2 app after all of them have been asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from .. import jsonc
from ..errors import WorkerExtError
from ..function import Function, definition_of, signature_of
from .bridge import Bridge
from .contexts import RUNS_CLASSIC_HOOKS, added_context, where_context_is
from .shape import Inactive, UnknownShape, module_of, part_of

_FIELDS = {"func", "name", "directory", "requires_context", "is_async", "input_types", "output_types"}


def join(bridge: Bridge, package: str) -> None:
    """Have the functions that a stock package has registered, and those that it will, run with their hooks.

    :raises Inactive: if it is too late for that.
    :raises UnknownShape: if the package does not register functions as it should.
    """
    entries = part_of(part_of(_keeper(package), "_functions"), "_functions")
    if entries and asyncio._get_running_loop() is None:
        raise Inactive(
            "worker_ext has been imported in the course of an invocation, on a pool thread",
            hint="Import it at the top of function_app.py, or of a v1 function's script.",
        )
    for function_id in list(entries):
        _take(entries, function_id, bridge, package)
    kind = part_of(module_of(package, "functions"), "Registry")
    if not hasattr(kind, "add_function"):  # a runtime for v2 apps alone
        return
    add_function: Callable[..., Any] = kind.add_function

    @wraps(add_function)
    def add_function_and_take(registry: Any, function_id: str, *args: Any, **kwargs: Any) -> Any:
        added = add_function(registry, function_id, *args, **kwargs)
        try:
            _take(part_of(registry, "_functions"), function_id, bridge, package)
        except Inactive as reason:
            bridge.give_up(reason)
            bridge.check_or_end()
        return added

    kind.add_function = add_function_and_take


def _take(entries: Any, function_id: str, bridge: Bridge, package: str) -> None:
    """Have a function run with its hooks, if extensions are on."""
    bridge.check_or_end()
    if bridge.enabled:
        _replace(entries, function_id, bridge, package)
    else:
        bridge.leave_alone()


def _keeper(package: str) -> Any:
    """The module, or up to Python 3.12 the object, that keeps what the runtime knows."""
    if package == RUNS_CLASSIC_HOOKS:
        return part_of(module_of(package, "dispatcher"), "Dispatcher").current
    return module_of(package, "handle_event")


def _replace(entries: Any, function_id: str, bridge: Bridge, package: str) -> None:
    entry = entries.get(function_id)
    if not set(getattr(entry, "_fields", ())) >= _FIELDS:
        raise UnknownShape(f"{package} keeps functions in another way")
    parameters = signature_of(entry.func).parameters
    definition = definition_of(entry.func)
    file = definition[0] if definition is not None else ""
    function = Function(
        entry.name,
        entry.func,
        directory=entry.directory,
        file=file,
        parameters=frozenset(parameters),
        trigger=_trigger_of(entry, package),
    )
    bound = {*entry.input_types, *entry.output_types}
    take_context = where_context_is(parameters, bound, package)
    entrance = bridge.take(function, take_context)
    entries[function_id] = entry._replace(
        func=entrance,
        requires_context=entry.requires_context or take_context is added_context,
        is_async=function.is_async,
    )


def _trigger_of(entry: Any, package: str) -> str:
    """The type of a function's trigger, which the entry does not tell if the parameter is annotated as plain text.

    It is read where the runtime has it from: a v1 function's declaration, or what it has told the host of a v2 app.
    """
    declaration = Path(entry.directory) / "function.json"
    if declaration.is_file():
        # Without the file: what the entry tells, which is not all. The function has been loaded, and is to run.
        kinds = _declared(declaration) or [str(each.binding_name) for each in entry.input_types.values()]
    else:
        keeper = _keeper(package)
        indexed = getattr(keeper, "_metadata_result", None) or getattr(keeper, "_function_metadata_result", None) or ()
        bindings = [function.bindings for function in indexed if function.name == entry.name]
        kinds = [binding.type for named in bindings for binding in named.values()]
    return next((kind for kind in kinds if kind.lower().endswith("trigger")), "")


def _declared(declaration: Path) -> list[str]:
    """The types of a v1 function's bindings; none if its file is such as only the host reads, in single quotes say."""
    try:
        return [str(binding["type"]) for binding in jsonc.load(declaration).value["bindings"]]
    except (WorkerExtError, OSError, LookupError, TypeError):
        return []
