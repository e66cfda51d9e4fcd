"""Where the Context of an invocation is to be found.

The runtime gives it to a function as its argument ``context``, and does not if the function has a binding that is
itself called so, as Durable orchestrators and entities have. It makes a Context for such an invocation all the same,
and tells the thread that is about to run it the invocation's id.
"""

from __future__ import annotations

from collections.abc import Collection, MutableMapping
from functools import cache, wraps
from typing import Any
from weakref import WeakValueDictionary

from .crossing import TakeContext
from .shape import module_of, part_of


def where_context_is(parameters: Collection[str], bound: Collection[str], package: str) -> TakeContext:
    """What finds the contexts of a function's invocations.

    :param parameters: what the function declares.
    :param bound: the names of its bindings.
    :param package: the stock package that calls it.
    :raises UnknownShape: if that package makes contexts in another way.
    """
    if "context" in bound:
        return _noted(package)
    return _declared if "context" in parameters else _added


def _declared(arguments: dict[str, Any]) -> Any:
    return arguments["context"]


def _added(arguments: dict[str, Any]) -> Any:
    return arguments.pop("context")  # which the function does not declare and must not be given


@cache
def _noted(package: str) -> TakeContext:
    """Begin to note the contexts that a package makes, and find the one of the running invocation among them."""
    module = module_of(package, "bindings.context")
    storage, kind = part_of(module, "_invocation_id_local"), part_of(module, "Context")
    contexts: MutableMapping[str, Any] = WeakValueDictionary()
    make = kind.__init__

    @wraps(make)
    def make_and_note(context: Any, *args: Any, **kwargs: Any) -> None:
        make(context, *args, **kwargs)
        contexts[context.invocation_id] = context

    kind.__init__ = make_and_note
    return lambda _arguments: contexts[storage.invocation_id]
