"""Extensions that an app names in its settings instead of importing them.

A package offers its extension through the entry-point group :data:`GROUP`. What is named in :data:`SETTING` is imported
before the app's own code, which registers it, and is configured from settings. What the app itself tells ``configure``
then comes later, and so it wins. A function-level extension can be named if it has a ``configure``, a class method that
makes an instance for the functions that the settings say.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase

from ..errors import ConfigurationError
from .configuration import configure, prefix_of

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint  # most apps name no extension, and it takes a while

GROUP = "worker_ext.extensions"
"""The entry-point group; the names in it are what :data:`SETTING` lists."""

SETTING = "WORKER_EXT_EXTENSIONS"
"""The setting that lists extensions, with commas, in their order; ``*`` stands for all others, by name."""


_OPTION = re.compile(r"WORKER_EXT_\w+?__", re.IGNORECASE)
_logger = logging.getLogger("worker_ext")


class Named(NamedTuple):
    """An extension that has been loaded because a setting names it.

    :ivar name: its name there.
    :ivar extension: the extension.
    """

    name: str
    extension: type


def load_named(
    environ: Mapping[str, str] = os.environ, provided: Mapping[str, str] = MappingProxyType({})
) -> list[Named]:
    """Import and configure what :data:`SETTING` names. Call this when the app's packages can be imported.

    :param environ: the settings.
    :param provided: versions of packages that are there without being installed, by their names.
    :raises ConfigurationError: if an extension is not installed, needs another version of a package than is installed,
        cannot be imported, or does not take what the settings tell it.
    """
    listed = [name.strip() for name in environ.get(SETTING, "").split(",") if name.strip()]
    offered = _offered() if listed else {}
    names = dict.fromkeys(name for one in listed for name in (sorted(offered) if one == "*" else [one]))
    found = [Named(name, _load(name, offered, provided)) for name in names]
    for name, extension in found:
        if not configure(name, extension, environ) and name in listed and issubclass(extension, FuncExtensionBase):
            options = f"{prefix_of(name)}…"
            _logger.warning("%s names %s, but no setting %s says for which functions it is", SETTING, name, options)
    prefixes = tuple(prefix_of(name) for name in names)
    for setting in sorted(environ):
        if _OPTION.match(setting) and not setting.upper().startswith(prefixes):
            _logger.warning("the setting %s has no effect: %s does not name an extension called so", setting, SETTING)
    return found


def _offered() -> dict[str, list[EntryPoint]]:
    from importlib.metadata import entry_points

    offered: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        if point not in offered.setdefault(point.name, []):  # a folder that is twice on the path has everything twice
            offered[point.name].append(point)
    return offered


def _load(name: str, offered: Mapping[str, list[EntryPoint]], provided: Mapping[str, str]) -> type:
    points = offered.get(name, [])
    if not points:
        raise _missing(name, offered)
    if len(points) > 1:
        packages = " and ".join(sorted(_package(point) for point in points))
        raise ConfigurationError(
            f"{SETTING} names {name}, and more than one package offers an extension of that name: {packages}",
            hint="Uninstall all but one of them.",
        )
    point = points[0]
    if conflicts := _conflicts(point.dist, provided):
        raise ConfigurationError(
            f"the extension {name} ({_package(point)}) needs {' and '.join(conflicts)}",
            hint=f"Install versions that go together:  {sys.executable} -m pip install --upgrade {_project(point)}",
        )
    try:
        extension = point.load()
    except BaseException as error:  # SystemExit too: a package must not end the worker by being imported
        raise _broken(name, point, error) from error
    if isinstance(extension, type) and issubclass(extension, AppExtensionBase):
        return extension
    if isinstance(extension, type) and issubclass(extension, FuncExtensionBase):
        if callable(getattr(extension, "configure", None)):
            return extension
        what = "is one for some functions, and has no configure() that settings could tell for which"
    else:
        what = f"is {extension!r}, which is no extension"
    raise ConfigurationError(
        f"the extension {name} ({_package(point)}) {what}",
        hint=f"Take {name} out of {SETTING}, and use it in the app's code.",
    )


def _missing(name: str, offered: Iterable[str]) -> ConfigurationError:
    from difflib import get_close_matches  # for people who have mistyped

    there = ", ".join(sorted(offered)) or "none"
    near = get_close_matches(name, offered, n=1)
    if near:
        hint = f"Did you mean {near[0]}?"
    elif _is_module(name):
        hint = (
            f"{name} is a module. The setting takes names of entry points in the group {GROUP!r};\n"
            f"  an extension in a module of the app is imported in the app's code instead."
        )
    else:
        hint = (
            f"These are names of entry points in the group {GROUP!r}, not of packages or modules.\n"
            f"  Is its package in requirements.txt, and installed for the app's Python?\n"
            f"  {sys.executable} -m pip install -r requirements.txt"
        )
    message = f"{SETTING} names {name}, which no installed package offers; there are: {there}"
    return ConfigurationError(message, hint=hint)


def _is_module(name: str) -> bool:
    try:
        return find_spec(name.partition(".")[0].partition(":")[0]) is not None
    except (ImportError, ValueError):  # of what can be no name of one
        return False


def _broken(name: str, point: EntryPoint, error: BaseException) -> ConfigurationError:
    # Not the frames of what imports: the mistake is in what it imports.
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    places = [(frame.filename, frame.lineno) for frame in frames if frame.filename != __file__]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    file, line = places[-1] if places else (None, None)
    module = getattr(error, "name", None)
    if isinstance(error, ModuleNotFoundError) and module and point.module.startswith(module):
        reason = f"its package has no module {module}: its installation is damaged"
    else:
        reason = f"{type(error).__name__}: {error}"
    return ConfigurationError(
        f"the extension {name} ({_package(point)}) is installed but cannot be imported: {reason}",
        file=file,
        line=line,
        hint=f"Install it anew, or take it out of {SETTING}:  "
        f"{sys.executable} -m pip install --force-reinstall {_project(point)}",
    )


def _project(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.module


def _conflicts(package: Distribution | None, provided: Mapping[str, str]) -> list[str]:
    """What a package requires in a version that is not the installed one. What is missing shows when it is imported."""
    parse = _requirement_parser()
    if package is None or parse is None:
        return []
    found = []
    for text in package.requires or ():
        requirement = parse(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = provided.get(requirement.name) or _installed(requirement.name)
        if installed is not None and not requirement.specifier.contains(installed, prereleases=True):
            found.append(f"{requirement.name}{requirement.specifier}, but {installed} is installed")
    return found


def _installed(project: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(project)
    except PackageNotFoundError:
        return None


def _requirement_parser() -> Callable[[str], Any] | None:
    """``packaging``'s, which an app need not have, but nearly always its pip has; without it nothing is checked."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        try:
            from pip._vendor.packaging.requirements import Requirement  # type: ignore[assignment]
        except ImportError:
            return None
    return Requirement
