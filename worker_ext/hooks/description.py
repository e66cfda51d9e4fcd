"""What there is to know of the extensions of an app, for people who ask for a list."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import packages_distributions, version
from typing import Any

from ..function import Function
from .discovery import SETTING, Named
from .hook import ARGUMENTS, find, is_ours, misplaced, problem_of, scope_of
from .registry import Registry
from .scope import class_of


def describe(registry: Registry, functions: Sequence[Function], named: Iterable[Named] = ()) -> list[dict[str, Any]]:
    """Describe the extensions in the order in which they come, as JSON can carry it.

    Each has ``order`` (from 1), ``name``, ``package`` and ``version`` (of what pip has installed, else empty),
    ``level`` (``app`` or ``function``), ``scope`` (the names of the functions that it applies to), ``hooks`` (those
    that it defines), ``refused`` (hook → why it is not run), ``priority``, ``required``, ``file``, and ``source``: how
    it got into the app.

    :param functions: the functions of the app.
    :param named: the extensions that the settings name.
    """
    by_setting = {id(extension): f"{SETTING} ({name})" for name, extension in named}
    packages = packages_distributions()
    owners = [(owner, "app") for owner in registry.app_level()]
    owners += [(owner, "function") for owner in registry.function_level()]
    described = []
    for order, (owner, level) in enumerate(owners, start=1):
        cls = class_of(owner)
        applying = registry.app_level if level == "app" else registry.function_level
        scope = [function.name for function in functions if any(one is owner for one in applying(function))]
        calls = {name: call for name in ARGUMENTS if (call := find(owner, name)) is not None}
        problems = {name: misplaced(owner, name) or problem_of(name, call) for name, call in calls.items()}
        described.append(
            {
                "order": order,
                "name": cls.__name__,
                **_package_of(cls, packages),
                "level": level,
                "scope": scope,
                "hooks": list(calls),
                "refused": {name: problem for name, problem in problems.items() if problem is not None},
                "priority": scope_of(owner).priority,
                "required": is_ours(owner) and bool(owner.required),
                "file": getattr(sys.modules.get(cls.__module__), "__file__", None) or "",
                "source": by_setting.get(id(cls), f"import of {cls.__module__}"),
            }
        )
    return described


def _package_of(cls: type, packages: Mapping[str, Sequence[str]]) -> dict[str, str]:
    projects = packages.get(cls.__module__.partition(".")[0], ())
    return {"package": projects[0], "version": version(projects[0])} if projects else {"package": "", "version": ""}
