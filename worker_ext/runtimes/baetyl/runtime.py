"""Baetyl functions as a worker process runs them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import IndexingError
from ...function import Function
from ...invocation import Invocation
from ..base import Answer, LoadedApp, LoadedFunction, Runtime
from . import handlers
from .context import EventContext
from .message import Message, encode_reply
from .service import unpack


class BaetylRuntime(Runtime):
    """Loads the handlers of a function service and converts between messages and what handlers take and give."""

    one_at_a_time = True

    def __init__(self) -> None:
        self._functions: dict[str, Function] = {}
        self._problems: dict[str | None, IndexingError] = {}  # by the names of functions that cannot be loaded

    def load(self, script_root: Path) -> LoadedApp:
        """Load the handlers that the host has listed (see :meth:`Runtime.load`)."""
        functions, problems = handlers.load(unpack(os.environ))
        self._functions = {function.name: function for function in functions}
        self._problems = {problem.function: problem for problem in problems}
        if not functions:
            raise problems[0] if problems else IndexingError("the function service declares no functions")
        return LoadedApp([LoadedFunction(function, _describe(function)) for function in functions], problems)

    def decode(self, name: str, invocation_id: str, payload: Sequence[bytes]) -> Invocation:
        """Make an invocation (see :meth:`Runtime.decode`)."""
        return self.invocation(name, invocation_id, Message.unpack(payload))

    def invocation(self, name: str, invocation_id: str, message: Message) -> Invocation:
        """Make an invocation of a message.

        :raises LookupError: if there is no such function, or it could not be loaded.
        """
        function = self._functions.get(name)
        if function is None:
            if name in self._problems:
                raise LookupError(str(self._problems[name]))
            raise LookupError(f"there is no function {name!r} in this service")
        context = EventContext(name, function.directory, invocation_id, message)
        return Invocation(function, {"event": message.event(), "context": context}, context)

    def encode(self, invocation: Invocation, value: Any) -> Answer:
        """Make an answer (see :meth:`Runtime.encode`): its one part is the reply's payload."""
        try:
            return Answer(0, [], [encode_reply(value)])
        except (TypeError, ValueError, RecursionError) as error:
            raise TypeError(
                f"what {invocation.function.name} returned cannot be a reply: {error};"
                " a handler returns None, bytes, or what json.dumps() takes"
            ) from None


def _describe(function: Function) -> dict[str, Any]:
    return {"name": function.name, "file": function.file, "isAsync": function.is_async}
