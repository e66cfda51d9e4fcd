"""Which of all extensions that a process has loaded an app uses: those that the modules of its functions know."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any


def used_by(functions: Iterable[Callable[..., Any]], extensions: Iterable[Any]) -> list[Any]:
    """The extensions that belong to an app which exists already.

    An extension is used by the module that defines it, that holds it in a global variable, or that has imported the
    package which defines it. What modules import by way of others is not looked at.

    :param functions: the app's functions.
    :param extensions: application-level classes and function-level instances, in the order of their registration.
    """
    modules = {inspect.unwrap(function).__module__ for function in functions}
    held: set[int] = set()
    packages: set[str] = set()
    for module in filter(None, map(sys.modules.get, modules)):
        for value in vars(module).values():
            if isinstance(value, ModuleType):
                packages.add(_top(value.__name__))
            elif isinstance(value, type):
                held.update(id(cls) for cls in value.__mro__)
            else:
                held.add(id(value))
    found = []
    for extension in extensions:
        cls = extension if isinstance(extension, type) else type(extension)
        if id(extension) in held or cls.__module__ in modules or _top(cls.__module__) in packages:
            found.append(extension)
    return found


def _top(module: str) -> str:
    return module.partition(".")[0]
