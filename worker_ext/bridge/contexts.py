"""Where the Context of an invocation is to be found.

The runtime gives it to a function as its argument ``context``, if the function declares it or seems to. It does not if
the function has a binding that is itself called so, as Durable orchestrators and entities have; and where the worker
runs hooks of its own, these must not find an argument that the function does not declare. But a Context is made for
each invocation all the same, and the thread that is about to run it is told the invocation's id.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from functools import cache, wraps
from typing import Any
from weakref import WeakValueDictionary

from .crossing import TakeContext
from .shape import module_of, part_of

RUNS_CLASSIC_HOOKS = "azure_functions_worker"
"""The stock package that runs the classic hooks by itself."""


def where_context_is(parameters: Collection[str], bound: Collection[str], package: str) -> TakeContext:
    """What finds the contexts of a function's invocations.

    :param parameters: what the function declares.
    :param bound: the names of its bindings.
    :param package: the stock package that calls it.
    :raises UnknownShape: if that package makes contexts in another way.
    """
    if "context" in parameters and "context" not in bound:
        return _declared
    return _noted(package) if "context" in bound or package == RUNS_CLASSIC_HOOKS else added_context


def _declared(arguments: dict[str, Any]) -> Any:
    return arguments["context"]


def added_context(arguments: dict[str, Any]) -> Any:
    """The context, if the function has only seemed to declare it. It is no longer among the arguments then."""
    return arguments.pop("context")


@cache
def _noted(package: str) -> TakeContext:
    """Begin to note the contexts that a package makes, and find the one of the running invocation among them."""
    kind = part_of(module_of(package, "bindings.context"), "Context")
    contexts: MutableMapping[str, Any] = WeakValueDictionary()
    make = kind.__init__
    storage: Any = None  # the thread-local object that all contexts share

    @wraps(make)
    def make_and_note(context: Any, *args: Any, **kwargs: Any) -> None:
        nonlocal storage
        make(context, *args, **kwargs)
        contexts[context.invocation_id] = context
        storage = context.thread_local_storage

    kind.__init__ = make_and_note
    return lambda _arguments: contexts[storage.invocation_id]
