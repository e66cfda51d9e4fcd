"""What extensions hold, as it can be put back: their attributes, and the variables of the modules that define them.

An extension keeps what ``configure`` is told in a class attribute, in a global variable, in a dict of either, or in an
object of a class of its own. A :class:`Snapshot` finds all of these from the extension, and writes down what each of
them holds. What it puts back it puts into the very same objects, so that it does not matter who else knows them.
"""

from __future__ import annotations

import dis
import sys
from abc import ABC
from collections.abc import Collection, Iterable, Iterator, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from functools import _lru_cache_wrapper as LruCache
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, Generic, Protocol

from azure.functions import AppExtensionBase, FuncExtensionBase

from ..hooks.scope import class_of
from .holders import (
    NAMESPACES,
    Attributes,
    Cache,
    Cell,
    Container,
    Holder,
    Variables,
    is_a,
    kind_of,
    of_function,
    within,
)
from .used import NOT_EXTENSIONS, packages_of, top

_TEST_MODULES = ("__main__", "conftest", "test_*", "*_test")
_TEST_PACKAGES = {"tests", "test"}
_CONFIGURES = ("configure", "__init__")
_PLAIN = {object, ABC, Generic, Protocol, Enum, tuple, frozenset, *NAMESPACES}


class Snapshot:
    """What extensions hold at this moment.

    That is, as far as one can come from them: the attributes of an extension, its class and the bases of that; the
    global variables of the modules of its package; what is in their lists, dicts and sets, in the attributes of objects
    and classes which the package defines, and in the variables that its functions have around them. Of a module of
    tests, and of one that has the app's functions, only the variables that ``configure`` or ``__init__`` names are the
    extension's: the others are what a test looks at.

    :param extensions: application-level classes and function-level instances.
    :param modules: the names of the modules of the app's functions.
    """

    def __init__(self, extensions: Sequence[Any], modules: Collection[str]) -> None:
        self._seen: dict[int, Any] = {}
        self._holders: list[tuple[Holder, Any]] = []
        self._own: set[str] = set()
        holders = list(_with_bases(extensions))
        packages = packages_of(extensions)
        for name, module in list(sys.modules.items()):
            if top(name) in packages and name not in modules and not _is_of_tests(name, module):
                self._own.add(name)
                holders.append(Attributes(module))
        self._defining = {cls.__module__ for cls in map(class_of, extensions)}
        for name in self._defining - self._own:
            if name in sys.modules:
                holders.append(Variables(sys.modules[name], _named_by_configuration(extensions, name)))
        for holder in holders:
            self._take(holder)

    def restore(self) -> None:
        """Put back what was held then."""
        for holder, content in self._holders:
            holder.replace(content)

    def _take(self, holder: Holder) -> None:
        waiting = [holder]
        while waiting:
            holder = waiting.pop()
            content = holder.read()
            self._holders.append((holder, content))
            waiting.extend(self._among(content.values() if isinstance(content, dict) else content))

    def _among(self, values: Iterable[Any]) -> Iterator[Holder]:
        """The holders among some values, and behind them, that have not been met yet."""
        waiting = list(values)
        while waiting:
            value = waiting.pop()
            if id(value) not in self._seen:
                self._seen[id(value)] = value
                yield from self._of(value)
                waiting.extend(within(value))
                if type(value) is FunctionType and self._defines(value):
                    waiting.extend(of_function(value))

    def _of(self, value: Any) -> Iterator[Holder]:
        """The holders that one value is."""
        cls = type(value)
        is_own = self._is_own(value)
        if kind_of(cls) is cls or (is_own and kind_of(cls)):
            yield Container(value)
        elif cls is CellType:
            yield Cell(value)
        elif cls is LruCache and self._defines(value.__wrapped__):
            yield Cache(value)
        if is_own or cls in NAMESPACES:
            yield Attributes(value)

    def _is_own(self, value: Any) -> bool:
        """Whether it is a class or a function of the package, or an instance that has nothing from elsewhere.

        A thread, say, or what exports spans, is in the hands of its library: it does not go back in time.
        """
        cls = type(value)
        if cls is FunctionType:
            return self._defines(value)
        if is_a(value, type):
            return self._is_known(value)
        return self._is_known(cls) and all(map(self._is_plain, cls.__mro__))

    def _is_known(self, cls: type) -> bool:
        # A class beside an extension in a module of tests is its own as well, if it leads there.
        return cls.__module__ in self._own or cls.__module__ in self._defining

    def _is_plain(self, cls: type) -> bool:
        return self._is_known(cls) or cls.__module__ == "collections.abc" or cls in _PLAIN or kind_of(cls) is cls

    def _defines(self, function: Any) -> bool:
        # Not __module__, which decorators of libraries copy to what they return.
        return getattr(function, "__globals__", {}).get("__name__") in self._own


def _with_bases(extensions: Iterable[Any]) -> Iterator[Attributes]:
    """The extensions, and all classes of theirs that can have been configured."""
    found: dict[int, Any] = {}
    for extension in extensions:
        bases = [
            base for base in class_of(extension).__mro__ if issubclass(base, (AppExtensionBase, FuncExtensionBase))
        ]
        found.update((id(each), each) for each in (extension, *bases) if not _is_part_of_sdk(each))
    return map(Attributes, found.values())


def _named_by_configuration(extensions: Iterable[Any], module: str) -> set[str]:
    """The global variables that extensions of a module use when they are made or configured."""
    names: set[str] = set()
    for cls in map(class_of, extensions):
        for method in _CONFIGURES:
            code = getattr(getattr(cls, method, None), "__code__", None)
            if cls.__module__ == module and code is not None:
                names.update(_names(code))
    return names


def _names(code: CodeType) -> Iterator[str]:
    # Not co_names: it has attributes as well, and a test may call a variable of its own as an extension its attribute.
    for instruction in dis.get_instructions(code):
        if instruction.opname.endswith(("_GLOBAL", "_NAME")):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_part_of_sdk(extension: Any) -> bool:
    return isinstance(extension, type) and top(extension.__module__) in NOT_EXTENSIONS


def _is_of_tests(name: str, module: ModuleType) -> bool:
    packages, _, own = name.rpartition(".")
    if hasattr(module, "__path__"):
        packages, own = name, ""
    return not _TEST_PACKAGES.isdisjoint(packages.split(".")) or any(fnmatchcase(own, each) for each in _TEST_MODULES)
