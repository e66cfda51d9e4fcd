"""A hook: what it is called, with what, and whether a method that somebody wrote can be one."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase as SdkAppExtensionBase
from azure.functions import FuncExtensionBase as SdkFuncExtensionBase

from ..function import is_async_callable, signature_of
from . import base
from .scope import SCOPE, Scope, class_of

APP_LEVEL = "_app_level"
"""What the names of application-level hooks end with."""

_LOAD, _PRE = ("function_name", "function_directory"), ("logger", "context", "func_args")
_CLASSIC = {"post_function_load": _LOAD, "pre_invocation": _PRE, "post_invocation": (*_PRE, "func_ret")}
_ADDED = {"on_invocation_error": (*_PRE, "error"), "around_invocation": _PRE}
_OWN: dict[str, tuple[str, ...]] = {"on_startup": (), "on_shutdown": (), "ready": (), "on_log": ("record",)}

ARGUMENTS = {
    **{f"{name}{level}": given for level in ("", APP_LEVEL) for name, given in (_CLASSIC | _ADDED).items()},
    **_OWN,
}
"""The hooks, with the names of what each is called with."""

CLASSIC = frozenset(f"{name}{level}" for level in ("", APP_LEVEL) for name in _CLASSIC)
"""The hooks that the stock worker has."""

_DEFAULTS = {
    getattr(default, "__func__", default)
    for bases in (SdkAppExtensionBase, SdkFuncExtensionBase, base.AppExtensionBase, base.FuncExtensionBase)
    for name, default in vars(bases).items()
    if name in ARGUMENTS
}


class Hook(NamedTuple):
    """One hook of one extension, ready to be called.

    :ivar extension: the extension's class name.
    :ivar name: the hook's name.
    :ivar call: the bound method.
    :ivar logger: the logger that the hook is given; named after the extension.
    :ivar is_async: whether it is a coroutine function, as far as that can be told before it is called.
    :ivar required: whether the extension is.
    """

    extension: str
    name: str
    call: Callable[..., Any]
    logger: logging.Logger
    is_async: bool = False
    required: bool = False


def is_ours(owner: Any) -> bool:
    """Whether an extension, a class or an instance, is built on the bases of this package."""
    return issubclass(class_of(owner), base.AppExtensionBase | base.FuncExtensionBase)


def scope_of(owner: Any) -> Any:
    """What has the ``include``, ``exclude``, ``triggers`` and ``priority`` of an extension, a class or an instance."""
    return owner if is_ours(owner) else getattr(owner, SCOPE, Scope())


def find(owner: Any, name: str) -> Callable[..., Any] | None:
    """The hook of that name, or ``None`` if nobody has overridden it.

    :param owner: the extension: a class if it is application-level, else an instance.
    """
    if name in _OWN and not is_ours(owner):  # a method of an older extension that happens to be called so
        return None
    call = getattr(owner, name, None)
    if call is None or getattr(call, "__func__", call) in _DEFAULTS:
        return None
    return call  # type: ignore[no-any-return]


def counterpart(name: str) -> str:
    """What the hook of that name is called on the other kind of extension."""
    return name.removesuffix(APP_LEVEL) if name.endswith(APP_LEVEL) else f"{name}{APP_LEVEL}"


def misplaced(owner: Any, name: str) -> str | None:
    """Why the hook of that name is not run although an extension has it: it is one of the other kind of extension.

    :returns: ``None`` if it has none, or has its own as well, which may call the other one.
    """
    is_app_level, own = isinstance(owner, type), counterpart(name)
    if name not in ARGUMENTS or name in _OWN or name.endswith(APP_LEVEL) == is_app_level:
        return None
    if find(owner, name) is None or find(owner, own) is not None:
        return None
    kinds = ["application-level", "function-level"]
    of, others = kinds if is_app_level else reversed(kinds)
    return f"{class_of(owner).__qualname__} is {of}, and this is a hook of {others} extensions; its own is called {own}"


def problem_of(name: str, call: Callable[..., Any]) -> str | None:
    """Why ``call`` cannot be the hook of that name, with its place; ``None`` if it can."""
    arguments = ARGUMENTS[name]
    if not callable(call):
        return f"it is {call!r}, which cannot be called"
    beneath = inspect.unwrap(call)
    if name.startswith("around_invocation"):
        if is_async_callable(beneath):
            arguments = (*arguments, "call_next")
        elif inspect.isasyncgenfunction(beneath):
            return _declared(
                call, ", which is an async generator: an around that awaits takes call_next instead of yielding"
            )
        elif not inspect.isgeneratorfunction(beneath):
            return _declared(call, ", which neither yields nor is async def: the function could never be called")
    elif inspect.isgeneratorfunction(call) or inspect.isasyncgenfunction(call):
        return _declared(call, ", which yields: nothing in it would ever run, as only an around hook may do that")
    elif name == "on_log" and is_async_callable(call):
        return _declared(call, ", which is async def: lines come from any thread and cannot wait for an event loop")
    return _signature_problem(call, arguments)


def _signature_problem(call: Any, arguments: tuple[str, ...]) -> str | None:
    """Why ``call`` cannot be called with these positional arguments, or ``None`` if it can."""
    try:
        signature = signature_of(call)
    except (TypeError, ValueError):
        return None  # written in C: no signature to hold it to
    first = next(iter(signature.parameters), None)
    if first in ("self", "cls") and inspect.isfunction(call):
        given = f"the {arguments[0]}" if arguments else "nothing"
        reason = f"its {first} would be given {given}; is @classmethod missing?"
    else:
        try:
            signature.bind(*arguments)
            return None
        except TypeError as error:
            reason = str(error)
    return _declared(call, f" but is called with ({', '.join(arguments)}): {reason}")


def _declared(call: Any, mismatch: str) -> str:
    code = getattr(inspect.unwrap(getattr(call, "__func__", call)), "__code__", None)
    where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
    name = getattr(call, "__qualname__", repr(call))
    return f"it is declared as {name}{signature_of(call)}{where}{mismatch}"
