"""To which functions an extension applies."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from ..function import Function

Target = Callable[[Function], bool]
"""Says whether a function is one of those that an extension has been attached to."""

Patterns = str | Collection[str]
"""One pattern or several, with the wildcards of :mod:`fnmatch`; upper and lower case are the same."""


SCOPE = "_worker_ext_scope"
"""The attribute that holds the scope of an extension on the SDK's bases, whose names for other things are its own."""


class Scope(NamedTuple):
    """What narrows an extension that is built on the SDK's bases; ours have attributes of the same names."""

    include: Patterns = "*"
    exclude: Patterns = ()
    triggers: Patterns = "*"
    priority: int = 0


def class_of(owner: Any) -> type:
    """The class of an extension: one itself if it is application-level, else that of the instance."""
    return owner if isinstance(owner, type) else type(owner)


def check_scope(extension: str, given: Mapping[str, Any]) -> None:
    """Refuse what cannot be a scope, where it is said.

    :param extension: the extension's name.
    :param given: ``include``, ``exclude``, ``triggers`` and ``priority``, if they are said.
    :raises TypeError: if a pattern is no text, or a priority no number.
    """
    for name in Scope._fields:
        value = given.get(name, "*" if name != "priority" else 0)
        if isinstance(value, property):  # told when it is asked for
            continue
        if name == "priority":
            if not isinstance(value, (int, float)):
                raise TypeError(f"the priority of {extension} is a number, not {value!r}")
        elif not isinstance(value, Collection) or not all(isinstance(pattern, str) for pattern in value):
            raise TypeError(f"the {name} of {extension} is a pattern (a text) or several, not {value!r}")


def target_of(attached_to: Any) -> Target:
    """What ``attach`` has been given, as the functions that it stands for.

    :param attached_to: a name of functions, with wildcards; a function, above or below the SDK's decorators; or a
        blueprint or function app, with what it has then and gets later.
    :raises TypeError: for anything else.
    """
    if isinstance(attached_to, str):
        return lambda function: _matches(function.name, attached_to)
    if _builders(attached_to) is not None:
        return lambda function: any(_is_made_of(function, _user_function(one)) for one in _builders(attached_to) or ())
    user_function = _user_function(attached_to)
    if callable(user_function):
        return lambda function: _is_made_of(function, user_function)
    raise TypeError(f"attach() takes a function, its name, or a blueprint, not {attached_to!r}")


def in_file(name: str, file: str) -> Target:
    """The functions that an extension that was made in a file is for.

    :param name: the lower-case name of the v1 function whose file it would be.
    :param file: the file; empty if it is not known.
    """
    return lambda function: function.name.lower() == name or (file != "" and file == function.file)


def admits(scope: Any, function: Function) -> bool:
    """Whether ``include``, ``exclude`` and ``triggers`` let an extension apply to a function.

    :param scope: what has these attributes (:func:`worker_ext.hooks.hook.scope_of`).
    """
    trigger = function.trigger.lower()
    return (
        _matches(function.name, scope.include)
        and not _matches(function.name, scope.exclude)
        and (_matches(trigger, scope.triggers) or _matches(trigger.removesuffix("trigger"), scope.triggers))
    )


def _matches(name: str, patterns: Patterns) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatchcase(name.lower(), pattern.lower()) for pattern in listed)


# What the SDK's decorators make has no public way to what it was made of.


def _builders(container: Any) -> list[Any] | None:
    return getattr(container, "_function_builders", None)


def _user_function(decorated: Any) -> Any:
    built: Any = getattr(decorated, "_function", None)
    return built.get_user_function() if hasattr(built, "get_user_function") else decorated


def _is_made_of(function: Function, user_function: Any) -> bool:
    return any(beneath == user_function for beneath in _unwrapped(function.call))


def _unwrapped(call: Any) -> Iterator[Any]:
    seen: set[int] = set()
    while call is not None and id(call) not in seen:
        seen.add(id(call))
        yield call
        call = getattr(call, "__wrapped__", None)
