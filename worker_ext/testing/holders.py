"""What holds values that can be exchanged: modules, classes, objects, functions, and containers."""

from __future__ import annotations

from collections import ChainMap, Counter, OrderedDict, UserDict, UserList, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from operator import is_
from types import CellType, FunctionType, MemberDescriptorType, ModuleType, SimpleNamespace
from typing import Any, Protocol


class Holder(Protocol):
    """What holds values that can be exchanged."""

    def read(self) -> Any:
        """What it holds: a dict of values, or a sequence of them."""

    def replace(self, content: Any) -> None:
        """Have it hold what was read before."""


class Attributes:
    """Of a class, an instance, or a module, without those that the language keeps.

    What sets attributes otherwise (properties, ``__setattr__``, what is frozen) is not asked.
    """

    def __init__(self, owner: Any) -> None:
        self._owner = owner
        self._slots = {} if is_a(owner, type) else _slots(type(owner))

    def read(self) -> dict[str, Any]:
        """Their values by name."""
        # Copied, as another thread can add to it meanwhile.
        held = dict(self._dict())
        found = {name: value for name, value in held.items() if self._has(name, value)}
        for name, slot in self._slots.items():
            try:
                found[name] = slot.__get__(self._owner)
            except AttributeError:
                continue
        return found

    def replace(self, content: Mapping[str, Any]) -> None:
        """Set those that have changed, and delete those that are new."""
        before = self.read()
        for name in before.keys() - content.keys():
            self._delete(name)
        for name, value in content.items():
            if name not in before or before[name] is not value:
                self._set(name, value)

    def _has(self, name: str, value: Any) -> bool:
        is_the_languages = (name.startswith("__") and name.endswith("__")) or name.startswith("_abc_")
        # The module that a package has as an attribute is there for as long as it is in sys.modules.
        return not is_the_languages and not is_a(value, ModuleType)

    def _set(self, name: str, value: Any) -> None:
        if is_a(self._owner, type):
            type.__setattr__(self._owner, name, value)
        elif name in self._slots:
            self._slots[name].__set__(self._owner, value)
        else:
            self._dict()[name] = value

    def _delete(self, name: str) -> None:
        if is_a(self._owner, type):
            type.__delattr__(self._owner, name)
        elif name in self._slots:
            self._slots[name].__delete__(self._owner)
        else:
            del self._dict()[name]

    def _dict(self) -> Any:
        try:
            return object.__getattribute__(self._owner, "__dict__")
        except AttributeError:  # it has slots alone
            return {}


class Variables(Attributes):
    """Some global variables of a module.

    :param names: theirs.
    """

    def __init__(self, module: ModuleType, names: Collection[str]) -> None:
        super().__init__(module)
        self._names = names

    def _has(self, name: str, value: Any) -> bool:
        return name in self._names and super()._has(name, value)


class Container:
    """A list, dict, set and the like, or an instance of a class that derives from one."""

    def __init__(self, container: Any) -> None:
        self._container = container
        self._kind: Any = kind_of(type(container)) or type(container)

    def read(self) -> Any:
        """Its elements: a dict, or a list."""
        if issubclass(self._kind, dict):
            return dict(self._kind.items(self._container))
        return list(self._kind.__iter__(self._container))

    def replace(self, content: Any) -> None:
        """Clear and fill it, if it has others now."""
        now = self.read()
        if len(now) != len(content) or not all(map(is_, _flat(now), _flat(content))):
            self._kind.clear(self._container)
            _REFILLS[self._kind](self._container, content)


class Cell:
    """A variable of a function that functions within it use."""

    def __init__(self, cell: CellType) -> None:
        self._cell = cell

    def read(self) -> list[Any]:
        """Its value; nothing if it has none yet."""
        try:
            return [self._cell.cell_contents]
        except ValueError:
            return []

    def replace(self, content: list[Any]) -> None:
        """Set it."""
        if content:
            self._cell.cell_contents = content[0]
        elif self.read():
            del self._cell.cell_contents


class Cache:
    """What ``functools.lru_cache`` keeps. It cannot be put back, only be forgotten."""

    def __init__(self, function: Any) -> None:
        self._function = function

    def read(self) -> list[Any]:
        """Nothing that one could come to."""
        return []

    def replace(self, content: list[Any]) -> None:
        """Have everything computed anew."""
        self._function.cache_clear()


def is_a(value: Any, *kinds: type) -> bool:
    """What isinstance tells, without a question to ``__class__``: that of a lazy object has it loaded."""
    return issubclass(type(value), kinds)


def kind_of(cls: type) -> type | None:
    """The kind of container that a class is, or derives from."""
    return next((base for base in cls.__mro__ if base in _REFILLS), None)


def of_function(function: FunctionType) -> Iterator[Any]:
    """What a function keeps from one call to the next, besides its attributes: default values and cells."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    yield from function.__closure__ or ()


def within(value: Any) -> Iterable[Any]:
    """What is behind a value that cannot change itself."""
    if is_a(value, tuple):
        return tuple.__iter__(value)  # a class that derives from it can have its own
    if is_a(value, frozenset):
        return frozenset.__iter__(value)
    if is_a(value, staticmethod, classmethod):
        return (value.__func__,)
    if is_a(value, property):
        return (value.fget, value.fset, value.fdel)
    if is_a(value, partial):
        return (value.func, *value.args, *value.keywords.values())
    return ()


def _slots(cls: type) -> dict[str, MemberDescriptorType]:
    """Those of a class and its bases, by names under which no two are the same."""
    return {
        f"{base.__qualname__}.{name}": slot
        for base in cls.__mro__
        for name, slot in vars(base).items()
        if isinstance(slot, MemberDescriptorType) and "__slots__" in vars(base)
    }


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

NAMESPACES = {SimpleNamespace, UserDict, UserList, ChainMap}
"""Classes of the standard library whose instances are nothing but attributes."""
