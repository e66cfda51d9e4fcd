"""The first noun: a function that a user wrote."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any


def is_async_callable(call: object) -> bool:
    """Whether calling ``call`` gives an awaitable: coroutine functions, partials and callable objects of such."""
    while isinstance(call, partial):
        call = call.func
    return inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(getattr(type(call), "__call__", None))  # noqa: B004


def signature_of(call: Callable[..., Any]) -> inspect.Signature:
    """What ``call`` takes, whether or not the names in its annotations can be found.

    Python 3.14 looks them up when it is asked for a signature, and some are imported for type checkers only.
    """
    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return inspect.signature(call, annotation_format=Format.FORWARDREF)
    return inspect.signature(call)


def definition_of(call: Callable[..., Any]) -> tuple[str, int] | None:
    """The file and line that define ``call``, beneath its decorators as far as they tell.

    ``None`` for what the SDK itself defines, as it does for ASGI and WSGI apps.
    """
    call = inspect.unwrap(call)
    if (getattr(call, "__module__", None) or "").startswith("azure."):
        return None
    code = getattr(call, "__code__", None) or getattr(getattr(call, "__call__", None), "__code__", None)  # noqa: B004
    return (str(Path(code.co_filename).resolve()), code.co_firstlineno) if code else None


class Function:
    """A function as the worker runs it, whichever system it was written for.

    :param name: its name as the user knows it.
    :param call: what the user wrote, called with keyword arguments.
    :param directory: its folder, as hooks and its ``Context`` see it.
    :param file: the file that defines it.
    :param parameters: the names of the arguments that it takes.
    :param trigger: the type of what starts it, such as ``httpTrigger``; empty where there are no types.
    """

    __slots__ = ("call", "directory", "file", "is_async", "name", "parameters", "trigger")

    def __init__(
        self,
        name: str,
        call: Callable[..., Any],
        *,
        directory: str,
        file: str,
        parameters: frozenset[str],
        trigger: str = "",
    ) -> None:
        self.name = name
        self.call = call
        self.directory = directory
        self.file = file
        self.parameters = parameters
        self.trigger = trigger
        self.is_async = is_async_callable(call)

    def __repr__(self) -> str:
        return f"<Function {self.name} of {self.file}>"
