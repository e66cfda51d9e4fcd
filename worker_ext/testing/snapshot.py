"""What extensions hold, as it can be put back: their attributes, and the variables of the modules that define them.

An extension keeps what ``configure`` is told in a class attribute, in a global variable, in a dict of either, or in an
object of a class of its own. A :class:`Snapshot` finds all of these from the extension, and writes down what each of
them holds. What it puts back it puts into the very same objects, so that it does not matter who else knows them.
"""

from __future__ import annotations

import sys
from abc import ABC
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from fnmatch import fnmatchcase
from operator import is_
from types import CodeType, ModuleType
from typing import Any, Generic, Protocol

from azure.functions import AppExtensionBase, FuncExtensionBase

from .used import NOT_EXTENSIONS, class_of, packages_of, top

_TESTS = ("__main__", "conftest", "test_*", "*_test")
_CONFIGURES = ("configure", "__init__")
_PLAIN = {object, ABC, Generic, Protocol, Enum}


class Snapshot:
    """What extensions hold at this moment.

    That is, as far as one can come from them: the attributes of an extension, its class and the bases of that; the
    global variables of the modules of its package; what is in their lists, dicts and sets, and in the attributes of
    objects and classes which the package defines. Of a module of tests, and of one that has the app's functions, only
    the variables that ``configure`` or ``__init__`` names are the extension's: the others are what a test looks at.

    :param extensions: application-level classes and function-level instances.
    :param modules: the names of the modules of the app's functions.
    """

    def __init__(self, extensions: Sequence[Any], modules: Collection[str]) -> None:
        self._seen: dict[int, Any] = {}
        self._holders: list[tuple[_Holder, Any]] = []
        self._own: set[str] = set()
        holders = list(_with_bases(extensions))
        packages = packages_of(extensions)
        for name, module in list(sys.modules.items()):
            if top(name) in packages and name not in modules and not _is_of_tests(name):
                self._own.add(name)
                holders.append(_Attributes(module))
        for name in {cls.__module__ for cls in map(class_of, extensions)} - self._own:
            if name in sys.modules:
                holders.append(_Variables(sys.modules[name], _named_by_configuration(extensions, name)))
        for holder in holders:
            self._take(holder)

    def restore(self) -> None:
        """Put back what was held then."""
        for holder, content in self._holders:
            holder.replace(content)

    def _take(self, holder: _Holder) -> None:
        waiting = [holder]
        while waiting:
            holder = waiting.pop()
            content = holder.read()
            self._holders.append((holder, content))
            waiting.extend(self._within(content.values() if isinstance(content, dict) else content))

    def _within(self, values: Iterable[Any]) -> Iterator[_Holder]:
        """The holders among some values that have not been met yet."""
        for value in values:
            if id(value) in self._seen:
                continue
            if type(value) in _REFILLS:
                self._seen[id(value)] = value
                yield _Container(value)
            elif type(value) in (tuple, frozenset):
                yield from self._within(value)
            elif self._is_own(value):
                self._seen[id(value)] = value
                yield _Attributes(value)

    def _is_own(self, value: Any) -> bool:
        """Whether it is a class of the package, or an instance of one that has nothing from elsewhere.

        A thread, say, or what exports spans, is in the hands of its library: it does not go back in time.
        """
        if isinstance(value, type):
            return value.__module__ in self._own
        return all(cls.__module__ in self._own or cls in _PLAIN for cls in type(value).__mro__)


class _Holder(Protocol):
    """What holds values that can be exchanged."""

    def read(self) -> Any:
        """What it holds: a dict of values, or a sequence of them."""

    def replace(self, content: Any) -> None:
        """Have it hold what was read before."""


class _Attributes:
    """Of a class, an instance, or a module, without those that the language keeps."""

    def __init__(self, owner: Any) -> None:
        self._owner = owner

    def read(self) -> dict[str, Any]:
        found = {name: value for name, value in getattr(self._owner, "__dict__", {}).items() if self._has(name, value)}
        for cls in () if isinstance(self._owner, type) else type(self._owner).__mro__:
            slots = vars(cls).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if not name.startswith("__") and hasattr(self._owner, name):
                    found[name] = getattr(self._owner, name)
        return found

    def replace(self, content: Mapping[str, Any]) -> None:
        before = self.read()
        for name in before.keys() - content.keys():
            self._delete(name)
        for name, value in content.items():
            if name not in before or before[name] is not value:
                self._set(name, value)

    def _has(self, name: str, value: Any) -> bool:
        # The module that a package has as an attribute is there for as long as it is in sys.modules.
        return not name.startswith(("__", "_abc_")) and not isinstance(value, ModuleType)

    def _set(self, name: str, value: Any) -> None:
        if isinstance(self._owner, type):
            setattr(self._owner, name, value)
        else:
            object.__setattr__(self._owner, name, value)  # also of what is frozen otherwise

    def _delete(self, name: str) -> None:
        if isinstance(self._owner, type):
            delattr(self._owner, name)
        else:
            object.__delattr__(self._owner, name)


class _Variables(_Attributes):
    """Some global variables of a module.

    :param names: theirs.
    """

    def __init__(self, module: ModuleType, names: Collection[str]) -> None:
        super().__init__(module)
        self._names = names

    def _has(self, name: str, value: Any) -> bool:
        return name in self._names and super()._has(name, value)


class _Container:
    """A list, dict, set and the like."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def read(self) -> Any:
        kind = dict if isinstance(self._container, dict) else list
        return kind(self._container)

    def replace(self, content: Any) -> None:
        now = self.read()
        if len(now) != len(content) or not all(map(is_, _flat(now), _flat(content))):
            self._container.clear()
            _REFILLS[type(self._container)](self._container, content)


def _flat(content: Any) -> Iterator[Any]:
    for each in content:
        yield each
        if isinstance(content, dict):
            yield content[each]


# A Counter's own update would add.
_REFILLS: dict[type, Callable[[Any, Any], object]] = {
    list: list.extend,
    bytearray: bytearray.extend,
    deque: deque.extend,
    set: set.update,
    dict: dict.update,
    defaultdict: dict.update,
    Counter: dict.update,
    OrderedDict: OrderedDict.update,
}
"""How each kind of container is filled, once it is empty."""


def _with_bases(extensions: Iterable[Any]) -> Iterator[_Attributes]:
    """The extensions, and all classes of theirs that can have been configured."""
    found: dict[int, Any] = {}
    for extension in extensions:
        bases = [
            base for base in class_of(extension).__mro__ if issubclass(base, (AppExtensionBase, FuncExtensionBase))
        ]
        found.update((id(each), each) for each in (extension, *bases) if not _is_part_of_sdk(each))
    return map(_Attributes, found.values())


def _named_by_configuration(extensions: Iterable[Any], module: str) -> set[str]:
    """The names that extensions of a module use when they are made or configured."""
    names: set[str] = set()
    for cls in map(class_of, extensions):
        for method in _CONFIGURES:
            code = getattr(getattr(cls, method, None), "__code__", None)
            if cls.__module__ == module and code is not None:
                names.update(_names(code))
    return names


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _is_part_of_sdk(extension: Any) -> bool:
    return isinstance(extension, type) and top(extension.__module__) in NOT_EXTENSIONS


def _is_of_tests(module: str) -> bool:
    return any(fnmatchcase(module.rpartition(".")[2], pattern) for pattern in _TESTS)
