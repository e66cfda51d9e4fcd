"""Which extensions there are, and which of their hooks run for a function.

Extensions register themselves with ``azure.functions``: an application-level one when its class is created, a
function-level one when it is instantiated with ``__file__``. The SDK files them by hook name; this module reads
them from there, so an extension behaves the same whether it was imported before or after the worker started.
"""

from __future__ import annotations

import inspect
import itertools
import logging
import os
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase
from azure.functions.extension import ExtensionMeta

from ..function import Function

FLAG = "PYTHON_ENABLE_WORKER_EXTENSIONS"
"""The setting that turns extensions on."""

_TRUE = frozenset({"1", "true", "t", "yes", "y"})
_ORIGIN = "_worker_ext_origin"  # on a function-level extension: (serial number, the file it was made in)

_PRE, _POST, _LOAD = ("logger", "context", "func_args"), ("logger", "context", "func_args", "func_ret"), ("name", "dir")
_ARGUMENTS = {
    "post_function_load_app_level": _LOAD,
    "pre_invocation_app_level": _PRE,
    "post_invocation_app_level": _POST,
    "post_function_load": _LOAD,
    "pre_invocation": _PRE,
    "post_invocation": _POST,
}


def extensions_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether :data:`FLAG` is on, in the spellings that the stock worker accepts (1, true, t, yes, y; any case)."""
    return environ.get(FLAG, "").strip().lower() in _TRUE


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


NO_HOOKS = HookSet((), ())


class Registry:
    """The extensions of this process.

    :param enabled: whether hooks run at all (see :func:`extensions_enabled`).
    :ivar version: grows whenever an extension registers; what was derived from the registry under an older
        version must be derived again.
    """

    def __init__(self, *, enabled: bool) -> None:
        self.enabled = enabled
        self.version = 0
        self._refused: set[tuple[str, str]] = set()
        if enabled:
            _observe(self)

    def hooks_for(self, function: Function) -> HookSet:
        """The hooks that run around an invocation of ``function``.

        Order: application-level before function-level on the way in, function-level before application-level on
        the way out; in registration order within each level, on both ways.
        """
        if not self.enabled:
            return NO_HOOKS
        return HookSet(
            (*self._app_hooks("pre_invocation_app_level"), *self._function_hooks("pre_invocation", function)),
            (*self._function_hooks("post_invocation", function), *self._app_hooks("post_invocation_app_level")),
        )

    def load_hooks_for(self, function: Function) -> tuple[Hook, ...]:
        """The hooks that run when ``function`` has been loaded: function-level ones first."""
        if not self.enabled:
            return ()
        return (
            *self._function_hooks("post_function_load", function),
            *self._app_hooks("post_function_load_app_level"),
        )

    def extensions(self) -> list[str]:
        """The names of the registered extensions, application-level ones first, each once."""
        apps = [_name_of(cls) for cls in _app_extensions()]
        functions = [type(instance).__name__ for instance in _function_extensions()]
        return list(dict.fromkeys(apps + functions)) if self.enabled else []

    def _app_hooks(self, name: str) -> Iterable[Hook]:
        # A class that another registered extension derives from is that one's base: its hooks run once, through
        # the class that inherited them. (The stock worker runs them for each of the two.)
        hooks = ExtensionMeta.get_application_hooks()
        owners = _app_extensions()
        for meta in getattr(hooks, name) if hooks else ():
            owner = _owner(meta.ext_impl, name, owners)
            if owner is not None and any(other is not owner and issubclass(other, owner) for other in owners):
                continue
            yield from self._usable(meta.ext_name, name, meta.ext_impl, AppExtensionBase)

    def _function_hooks(self, name: str, function: Function) -> Iterable[Hook]:
        for instance in _function_extensions():
            if function.name.lower() == instance._trigger_name.lower() or _is_made_in(instance, function.file):
                yield from self._usable(
                    type(instance).__name__, name, getattr(instance, name, None), FuncExtensionBase
                )

    def _usable(self, extension: str, name: str, call: Any, base: type) -> Iterable[Hook]:
        if call is None or getattr(call, "__func__", call) is _plain(base, name):
            return  # nobody overrode it: it costs nothing
        logger = logging.getLogger(extension)
        problem = _signature_problem(call, _ARGUMENTS[name])
        if problem is None:
            yield Hook(extension, name, call, logger)
        elif (extension, name) not in self._refused:
            self._refused.add((extension, name))
            logger.error("%s is not run: %s", name, problem)


def _observe(registry: Registry) -> None:
    """Have ``registry.version`` grow at every registration, and note in which file each instance was made.

    The dunders are wrapped because they are all that the language itself guarantees to be called; which private
    method of the SDK does the filing is its own business.
    """

    def bumping(original: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(original)
        def bump(*args: Any, **kwargs: Any) -> Any:
            result = original(*args, **kwargs)
            registry.version += 1
            return result

        return bump

    made = FuncExtensionBase.__init__
    serial = itertools.count()

    @wraps(made)
    def note_origin(self: Any, file_path: str, *args: Any, **kwargs: Any) -> None:
        made(self, file_path, *args, **kwargs)
        setattr(self, _ORIGIN, (next(serial), str(Path(file_path).resolve())))

    setattr(FuncExtensionBase, "__init__", note_origin)  # noqa: B010
    setattr(ExtensionMeta, "__init__", bumping(ExtensionMeta.__init__))  # noqa: B010
    setattr(ExtensionMeta, "__call__", bumping(ExtensionMeta.__call__))  # noqa: B010


def _app_extensions() -> list[Any]:
    """The registered application-level extensions. The SDK registers each class but its own base."""
    found: list[Any] = []
    pending = list(AppExtensionBase.__subclasses__())
    while pending:
        cls = pending.pop(0)
        found.append(cls)
        pending += cls.__subclasses__()
    return found


def _function_extensions() -> list[Any]:
    """The registered function-level extensions, in the order in which they were made."""
    found: dict[int, Any] = {}
    for hooks in ExtensionMeta._func_exts.values():
        for metas in hooks:
            for meta in metas:
                instance = getattr(meta.ext_impl, "__self__", None)
                if instance is not None:
                    found[id(instance)] = instance
    return sorted(found.values(), key=lambda instance: getattr(instance, _ORIGIN, (-1, ""))[0])


def _is_made_in(instance: Any, file: str) -> bool:
    return bool(getattr(instance, _ORIGIN, (-1, ""))[1] == file)


def _owner(call: Any, name: str, owners: list[Any]) -> Any:
    bound_to = getattr(call, "__self__", None)
    if bound_to is not None:
        return bound_to
    return next((cls for cls in owners if vars(cls).get(name) is not None and getattr(cls, name) is call), None)


def _plain(base: type, name: str) -> Any:
    return getattr(vars(base)[name], "__func__", vars(base)[name])


def _name_of(cls: Any) -> str:
    return str(cls.__name__)


def _signature_problem(call: Any, arguments: tuple[str, ...]) -> str | None:
    """Why ``call`` cannot be called with these positional arguments, or ``None`` if it can."""
    try:
        signature = inspect.signature(call)
    except (TypeError, ValueError):
        return None  # written in C: no signature to hold it to
    try:
        signature.bind(*arguments)
    except TypeError as error:
        code = getattr(inspect.unwrap(getattr(call, "__func__", call)), "__code__", None)
        where = f" ({code.co_filename}:{code.co_firstlineno})" if code else ""
        return f"it is declared as {getattr(call, '__qualname__', call)}{signature}{where} but is called with \
({', '.join(arguments)}): {error}"
    return None
