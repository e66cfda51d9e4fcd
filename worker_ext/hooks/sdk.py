"""The extensions that have registered with ``azure.functions``.

Nothing else in this package relies on how the SDK files them: it keeps bound hooks by name, and neither the order
across names, nor the instances, nor the files that they were made in. This module notes those as it happens.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase
from azure.functions.extension import ExtensionMeta

from ..function import Function
from .scope import Target, in_file

_FILE = "_worker_ext_file"  # the attribute of a function-level extension that holds the file that it was made in


class FunctionExtension(NamedTuple):
    """A function-level extension.

    :ivar instance: the extension.
    :ivar targets: what it has been attached to.
    """

    instance: Any
    targets: list[Target]

    def applies_to(self, function: Function) -> bool:
        """Whether it has been attached to a function."""
        return any(target(function) for target in self.targets)


class Extensions:
    """The extensions, application-level and function-level, each in the order in which they registered.

    :ivar detached: the application-level ones that have been taken away again.
    :ivar version: another number after each registration or detachment.
    :ivar observers: called after each, on the thread that it happened on.
    """

    def __init__(self) -> None:
        self.apps: list[type] = []
        self.functions: list[FunctionExtension] = []
        self.detached: set[type] = set()
        self.version = 0
        self.observers: list[Callable[[], None]] = []
        self._versions = itertools.count(1)
        self._filed: dict[str, Any] = {"_func_exts": {}, "_app_exts": None, "_info": {}}

    def adopt(self, extension: Any, other: Extensions) -> None:
        """Add an extension of others, without initializing it again.

        :param extension: an application-level class, or a function-level instance.
        :param other: where it has registered.
        """
        filing: Any = ExtensionMeta
        if isinstance(extension, type):
            self.add_app(extension)
            filing._set_hooks_for_application(extension)
        else:
            self._made(extension).targets.extend(other._made(extension).targets)
            filing._set_hooks_for_function(extension._trigger_name, extension)
            self.changed()

    def add_app(self, cls: type) -> None:
        """Note an application-level extension, unless it is a base that only extensions derive from."""
        if cls.__name__ == "AppExtensionBase":  # the SDK's own rule
            return
        self.apps.append(cls)
        self.changed()

    def add_function(self, instance: Any) -> None:
        """Note a function-level extension, for the functions of the file that it was made in.

        Of a file in a folder, the SDK takes the folder's name for that of a v1 function.
        """
        made_in = in_file(str(instance._trigger_name).lower(), getattr(instance, _FILE, ""))
        self._made(instance).targets.append(made_in)
        self.changed()

    def attach(self, instance: Any, target: Target) -> None:
        """Have a function-level extension apply to more functions."""
        self._made(instance).targets.append(target)
        self.changed()

    def _made(self, instance: Any) -> FunctionExtension:
        for made in self.functions:
            if made.instance is instance:
                return made
        self.functions.append(FunctionExtension(instance, []))
        return self.functions[-1]

    def remove(self, owner: Any) -> None:
        """Forget an extension: a class if it is application-level, else an instance. The SDK forgets it too."""
        if isinstance(owner, type):
            self.detached.add(owner)
            listed: Iterable[list[Any]] = ExtensionMeta.get_application_hooks() or ()
        else:
            self.functions = [made for made in self.functions if made.instance is not owner]
            listed = ExtensionMeta.get_function_hooks(owner._trigger_name) or ()
        for hooks in listed:
            hooks[:] = [hook for hook in hooks if getattr(hook.ext_impl, "__self__", None) is not owner]
        self.changed()

    def changed(self) -> None:
        """Have everybody ask again."""
        self.version = next(self._versions)  # unlike +=, never the same for two threads
        for observer in self.observers:
            observer()

    def forget_local(self) -> None:
        """Forget those whose class was defined in a function, as tests do it: no module holds them."""
        self.apps = [cls for cls in self.apps if not _is_local(cls)]
        self.functions = [made for made in self.functions if not _is_local(type(made.instance))]
        for hooks in (ExtensionMeta.get_application_hooks() or (), *ExtensionMeta._func_exts.values()):
            for listed in hooks:
                listed[:] = [one for one in listed if not any(map(_is_local, _classes_of(one)))]
        self.changed()

    def leaves(self) -> list[type]:
        """The application-level extensions that no other one derives from.

        The SDK registers a base class and what is derived from it, and the stock worker then runs a hook for both.
        Here it runs once, through the class that inherited it. (To detach that does not bring the base back to life.)
        """
        return [
            cls
            for cls in self.apps
            if cls not in self.detached and not any(other is not cls and issubclass(other, cls) for other in self.apps)
        ]


_extensions: Extensions | None = None


def extensions() -> Extensions:
    """The extensions of this process. From the first call on, each that registers is added."""
    global _extensions
    if _extensions is None:
        _extensions = found = Extensions()
        _add_earlier(found)
        _observe()
    return _extensions


def switch(to: Extensions) -> Extensions:
    """Have others be the extensions of this process from now on, for the SDK as well.

    It is for processes that hold several apps, one after the other, such as those of tests.

    :param to: a new object, or one that was returned here before.
    :returns: those that were until now.
    """
    global _extensions
    before = extensions()
    for table, filed in to._filed.items():
        before._filed[table] = getattr(ExtensionMeta, table)
        setattr(ExtensionMeta, table, filed)
    _extensions = to
    return before


def _observe() -> None:
    """Wrap the dunders through which extensions register.

    They are all that the language itself guarantees to be called; which private method of the SDK does the filing is
    its own business.
    """
    define: Callable[..., None] = ExtensionMeta.__init__
    make: Callable[..., Any] = ExtensionMeta.__call__
    initialize: Callable[..., None] = FuncExtensionBase.__init__

    @wraps(define)
    def define_and_note(cls: type, *args: Any, **kwargs: Any) -> None:
        define(cls, *args, **kwargs)
        if issubclass(cls, AppExtensionBase):
            extensions().add_app(cls)

    @wraps(make)
    def make_and_note(cls: type, *args: Any, **kwargs: Any) -> Any:
        instance = make(cls, *args, **kwargs)
        extensions().add_function(instance)
        return instance

    @wraps(initialize)
    def initialize_and_note(self: Any, file_path: Any, *args: Any, **kwargs: Any) -> None:
        initialize(self, file_path, *args, **kwargs)
        object.__setattr__(self, _FILE, str(Path(file_path).resolve()))

    for owner, name, wrapper in (
        (ExtensionMeta, "__init__", define_and_note),
        (ExtensionMeta, "__call__", make_and_note),
        (FuncExtensionBase, "__init__", initialize_and_note),
    ):
        setattr(owner, name, wrapper)


def _add_earlier(found: Extensions) -> None:
    """Add what has registered before anybody observed it, as far as the SDK and the language remember."""
    for cls in dict.fromkeys((*_owners(ExtensionMeta.get_application_hooks() or ()), *_subclasses(AppExtensionBase))):
        found.add_app(cls)
    instances = [owner for hooks in ExtensionMeta._func_exts.values() for owner in _owners(hooks)]
    for instance in {id(instance): instance for instance in instances}.values():
        found.add_function(instance)


def _owners(hooks: Iterable[Iterable[Any]]) -> list[Any]:
    """What the hooks on the SDK's lists are bound to; static ones are not bound to anything."""
    bound = (getattr(registered.ext_impl, "__self__", None) for listed in hooks for registered in listed)
    return [owner for owner in bound if owner is not None]


def _classes_of(registered: Any) -> list[type]:
    """The class of the extension that a hook on the SDK's lists belongs to."""
    return [owner if isinstance(owner, type) else type(owner) for owner in _owners([[registered]])]


def _is_local(cls: type) -> bool:
    return "<locals>" in cls.__qualname__


def _subclasses(cls: type) -> Iterable[type]:
    direct: list[type] = cls.__subclasses__()
    for subclass in direct:
        yield subclass
        yield from _subclasses(subclass)
