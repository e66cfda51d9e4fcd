"""Which hooks run for a function.

An application-level extension registers when its class is created and applies to every function; a function-level
one registers when it is instantiated with ``__file__`` and applies to the functions of that name or of that file.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase

from ..function import Function
from .logger import hook_logger
from .sdk import Extensions, extensions
from .switches import FLAG, is_on

_LOAD, _PRE = ("function_name", "function_directory"), ("logger", "context", "func_args")
_POST = (*_PRE, "func_ret")
_ARGUMENTS = {
    "post_function_load_app_level": _LOAD,
    "pre_invocation_app_level": _PRE,
    "post_invocation_app_level": _POST,
    "post_function_load": _LOAD,
    "pre_invocation": _PRE,
    "post_invocation": _POST,
}


def extensions_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether :data:`FLAG` is on."""
    return is_on(FLAG, environ)


class Hook(NamedTuple):
    """One hook of one extension, ready to be called.

    :ivar extension: the extension's class name.
    :ivar name: the hook's name.
    :ivar call: the bound method.
    :ivar logger: the logger that the hook is given; named after the extension.
    """

    extension: str
    name: str
    call: Callable[..., Any]
    logger: logging.Logger


class HookSet(NamedTuple):
    """The hooks of one function around its invocations, in the order in which they run."""

    before: tuple[Hook, ...]
    after: tuple[Hook, ...]


class Registry:
    """The extensions of this process, as the functions see them.

    :param enabled: whether there are any to be seen (:func:`extensions_enabled`).
    """

    def __init__(self, *, enabled: bool) -> None:
        self._extensions = extensions() if enabled else Extensions()
        self._refused: set[str] = set()

    @property
    def version(self) -> int:
        """Another number after each registration: what was asked before must then be asked again."""
        return self._extensions.version

    def hooks_for(self, function: Function) -> HookSet:
        """The hooks that run around an invocation of ``function``.

        Order: application-level before function-level on the way in, function-level before application-level on
        the way out; in registration order within each level, on both ways.
        """
        return HookSet(
            (*self._app_hooks("pre_invocation_app_level"), *self._function_hooks("pre_invocation", function)),
            (*self._function_hooks("post_invocation", function), *self._app_hooks("post_invocation_app_level")),
        )

    def load_hooks_for(self, function: Function) -> tuple[Hook, ...]:
        """The hooks that run when ``function`` has been loaded: function-level ones first."""
        return (
            *self._function_hooks("post_function_load", function),
            *self._app_hooks("post_function_load_app_level"),
        )

    def extensions(self) -> list[str]:
        """The names of the extensions whose hooks can run, application-level ones first, each once."""
        classes = [*self._extensions.leaves(), *(type(made.instance) for made in self._extensions.functions)]
        return list(dict.fromkeys(cls.__name__ for cls in classes))

    def _app_hooks(self, name: str) -> Iterator[Hook]:
        for cls in self._extensions.leaves():
            yield from self._usable(cls.__name__, name, getattr(cls, name, None), AppExtensionBase)

    def _function_hooks(self, name: str, function: Function) -> Iterator[Hook]:
        lowered = function.name.lower()
        for instance, function_name, file in self._extensions.functions:
            if function_name == lowered or (file and file == function.file):
                yield from self._usable(type(instance).__name__, name, getattr(instance, name, None), FuncExtensionBase)

    def _usable(self, extension: str, name: str, call: Any, base: type) -> Iterator[Hook]:
        if call is None or _implementation(call) is _implementation(vars(base)[name]):
            return  # nobody overrode it: it costs nothing
        logger = hook_logger(extension)
        problem = _signature_problem(call, _ARGUMENTS[name])
        if problem is None:
            yield Hook(extension, name, call, logger)
        elif problem not in self._refused:
            self._refused.add(problem)
            logger.error("%s is not run: %s", name, problem)


def _implementation(call: Any) -> Any:
    """The function beneath a bound, class or static method."""
    return getattr(call, "__func__", call)


def _signature_problem(call: Any, arguments: tuple[str, ...]) -> str | None:
    """Why ``call`` cannot be called with these positional arguments, or ``None`` if it can."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return None  # written in C: no signature to hold it to
    first = next(iter(signature.parameters), None)
    if first in ("self", "cls") and inspect.isfunction(call):
        reason = f"its {first} would be given the {arguments[0]}; is @classmethod missing?"
    else:
        try:
            signature.bind(*arguments)
            return None
        except TypeError as error:
            reason = str(error)
    code = getattr(inspect.unwrap(_implementation(call)), "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    name = getattr(call, "__qualname__", repr(call))
    return f"it is declared as {name}{signature}{where} but is called with ({', '.join(arguments)}): {reason}"
