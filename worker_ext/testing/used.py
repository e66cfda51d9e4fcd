"""Which of all extensions that a process has loaded an app uses, and the packages that define them."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from ..hooks.scope import class_of

NOT_EXTENSIONS = {"azure", "worker_ext", "builtins", "__main__"}
"""The top-level packages whose classes are no extensions, though some are bases of these."""


def used_by(functions: Iterable[Callable[..., Any]], extensions: Iterable[Any]) -> list[Any]:
    """The extensions that belong to an app which exists already.

    An extension is used by the module that defines it, that holds it in a global variable, or that has imported the
    package which defines it. What modules import by way of others is not looked at.

    :param functions: the app's functions.
    :param extensions: application-level classes and function-level instances, in the order of their registration.
    """
    modules = modules_of(functions)
    held: set[int] = set()
    packages: set[str] = set()
    for module in filter(None, map(sys.modules.get, modules)):
        for value in vars(module).values():
            if isinstance(value, ModuleType):
                packages.add(top(value.__name__))
            elif isinstance(value, type):
                held.update(id(cls) for cls in value.__mro__)
            else:
                held.add(id(value))
    found = []
    for extension in extensions:
        cls = class_of(extension)
        if id(extension) in held or cls.__module__ in modules or top(cls.__module__) in packages:
            found.append(extension)
    return found


def modules_of(functions: Iterable[Callable[..., Any]]) -> set[str]:
    """The names of the modules that define these functions."""
    return {inspect.unwrap(function).__module__ for function in functions}


def packages_of(extensions: Iterable[Any]) -> set[str]:
    """The top-level packages that define these extensions."""
    return {top(class_of(extension).__module__) for extension in extensions} - NOT_EXTENSIONS


def top(module: str) -> str:
    """The top-level package of a module."""
    return module.partition(".")[0]
