"""The contexts of invocations whose function cannot be given one: it has a binding that is itself named ``context``.

Durable orchestrators and entities are like that. The runtime makes a Context for each invocation all the same, and
tells the thread that is about to run it the invocation's id.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from functools import cache, wraps
from typing import Any
from weakref import WeakValueDictionary

from .crossing import TakeContext


@cache
def context_by_invocation(package: str) -> TakeContext:
    """Begin to note the contexts that a stock package makes; gives what finds the one of the running invocation."""
    stock = sys.modules[f"{package}.bindings.context"].Context
    storage = sys.modules[f"{package}.bindings.context"]._invocation_id_local
    contexts: MutableMapping[str, Any] = WeakValueDictionary()
    make = stock.__init__

    @wraps(make)
    def make_and_note(context: Any, *args: Any, **kwargs: Any) -> None:
        make(context, *args, **kwargs)
        contexts[context.invocation_id] = context

    stock.__init__ = make_and_note
    return lambda _arguments: contexts[storage.invocation_id]
