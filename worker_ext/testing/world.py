"""What belongs to one client, so that several in one process know nothing of each other.

An app and its extensions keep things where a process has one of each: modules in ``sys.modules``, the search path, the
environment, the tables of registered extensions, what ``configure`` sets. A :class:`World` holds one client's edition
of all of these. At most one world is *shown*, that is, in its place in the process; showing another puts back what was
there before it. :mod:`.stage` sees to it that the world of whoever is called is shown, and stays until the call has
ended.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from azure.functions import AppExtensionBase, FuncExtensionBase
from azure.functions.extension import ExtensionMeta

from ..errors import ConfigurationError
from ..hooks import sdk
from ..hooks.discovery import GROUP, SETTING
from ..runtimes.azure import v2
from ..runtimes.user_code import APP_PACKAGE, is_own
from .snapshot import Snapshot
from .used import NOT_EXTENSIONS, modules_of, packages_of, top, used_by

SCRIPT_ROOT = "AzureWebJobsScriptRoot"
"""The setting by which the SDK knows the app's folder."""


class World:
    """One client's edition of what a process has one of.

    :param script_root: the app's folder, absolute.
    :param environ: the settings that the app has besides the environment.
    :param functions: the functions of an app that is there already. ``None`` if the app is fresh: then it is imported
        anew, with the packages of its extensions.
    :param extensions: the extensions that run in this world: application-level classes and function-level instances,
        which are there already, and functions that make or configure some. ``None`` for those that the functions use.
    :raises ConfigurationError: if one of them is no extension, or a setting is no text.
    """

    def __init__(
        self,
        script_root: Path,
        environ: Mapping[str, str],
        *,
        functions: Sequence[Callable[..., Any]] | None,
        extensions: Sequence[Any] | None = None,
    ) -> None:
        self._script_root = script_root
        self._fresh = functions is None
        self._functions = functions or ()
        for name, value in environ.items():
            if not isinstance(value, str):
                raise ConfigurationError(
                    f"the setting {name} is {value!r}, but settings are texts", hint=f"Say it as {str(value)!r}."
                )
        for extension in extensions or ():
            if isinstance(extension, ExtensionMeta) and not issubclass(extension, AppExtensionBase):
                raise ConfigurationError(
                    f"{extension.__name__} is a function-level extension, of which an instance runs",
                    hint=f"Give one, or a function that makes one, as in  lambda: {extension.__name__}(…)",
                )
            if not isinstance(extension, FuncExtensionBase) and not callable(extension):
                raise ConfigurationError(
                    f"{extension!r} is no extension",
                    hint="Give application-level classes, function-level instances, or functions that make one.",
                )
        self._wanted = extensions
        self._shared: list[Any] = []
        self._state: Snapshot | None = None
        self._outer_state: Snapshot | None = None
        self._extensions = sdk.Extensions()
        self._outer_extensions = self._extensions
        self._modules: dict[str, ModuleType] = {}
        self._outer_modules: dict[str, ModuleType] = {}
        self._environ: dict[str, str | None] = dict(environ)  # None for what is not set
        self._outer_environ: dict[str, str] = {}
        self._path: list[str] | None = None
        self._outer_path: list[str] = []
        self._begun = False

    def show(self) -> None:
        """Put this world into its place."""
        outer = self._outer_extensions = sdk.switch(self._extensions)
        begins, wanted = not self._begun, []
        if begins:  # not before now: what another world has made of the extensions is its own business
            self._begun = True
            wanted = list(self._used(outer) if self._wanted is None else self._wanted)
            self._shared = [extension for extension in wanted if not _registers(extension)]
        # All of this before anything is put into its place: what then fails is taken back by it.
        self._outer_environ = dict(os.environ)
        self._outer_path = list(sys.path)
        self._outer_modules = dict(sys.modules)
        for name, value in self._environ.items():
            _set_variable(name, value)
        if self._path is not None:
            sys.path[:] = self._path
        sys.modules.update(self._modules)
        self._outer_state = self._snapshot()
        if self._state is not None:
            self._state.restore()
        if begins:
            for extension in wanted:
                if _registers(extension):
                    extension()
                else:
                    self._extensions.adopt(extension, outer)

    def hide(self) -> None:
        """Put back what was there before, and keep what this world has become."""
        self._state = self._snapshot()
        if self._outer_state is not None:
            self._outer_state.restore()
        packages = _packages(self._extensions) - packages_of(self._shared)
        for name, module in list(sys.modules.items()):
            if self._outer_modules.get(name) is not module and self._owns(name, module, packages):
                self._modules[name] = module
        for name in self._modules:
            if name in self._outer_modules:
                sys.modules[name] = self._outer_modules[name]
            else:
                sys.modules.pop(name, None)
        self._path, sys.path[:] = list(sys.path), self._outer_path
        names = os.environ.keys() | self._outer_environ.keys()
        changed = [name for name in names if os.environ.get(name) != self._outer_environ.get(name)]
        self._environ = {name: os.environ.get(name) for name in changed}
        for name in changed:
            _set_variable(name, self._outer_environ.get(name))
        sdk.switch(self._outer_extensions)

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """While the block runs, what is this world's own is imported anew, even if it has been imported before.

        That is a fresh app, and extensions that settings name.
        """
        packages = (_packages(self._outer_extensions) | _nameable_packages()) - packages_of(self._shared)
        hidden = {name: module for name, module in sys.modules.items() if self._owns(name, module, packages)}
        for name in hidden:
            del sys.modules[name]
        if self._fresh:
            # The folder of the tests can hold an app as well, and be searched before.
            sys.path[:] = [entry for entry in sys.path if not self._hides_the_app(Path(entry))]
        importlib.invalidate_caches()
        # A file that is written again within a second, with as many bytes, would be taken for the one before.
        bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
        try:
            yield
        finally:
            sys.dont_write_bytecode = bytecode
            for name, module in hidden.items():
                sys.modules.setdefault(name, module)

    def _owns(self, name: str, module: ModuleType, packages: set[str]) -> bool:
        top = name.partition(".")[0]
        if top in packages:
            return True
        if not self._fresh:
            return False
        file = getattr(module, "__file__", None)
        return top == APP_PACKAGE or (file is not None and is_own(Path(file), self._script_root))

    def _used(self, outer: sdk.Extensions) -> list[Any]:
        """The extensions that have registered before, and that an app which is there already uses."""
        apps = (cls for cls in outer.apps if cls not in outer.detached)
        return used_by(self._functions, [*apps, *(made.instance for made in outer.functions)])

    def _hides_the_app(self, entry: Path) -> bool:
        return entry.resolve() != self._script_root and v2.script_file(entry).is_file()

    def _snapshot(self) -> Snapshot:
        return Snapshot(self._shared, modules_of(self._functions))


def _registers(extension: Any) -> bool:
    """Whether it is no extension, but a function that makes one when it is called in a world."""
    return not isinstance(extension, (ExtensionMeta, FuncExtensionBase))


def _packages(extensions: sdk.Extensions) -> set[str]:
    return packages_of([*extensions.apps, *(made.instance for made in extensions.functions)])


def _nameable_packages() -> set[str]:
    """The packages of extensions that the settings can name, if they name any.

    One can have been imported while another world was shown; then it has not registered in this one.
    """
    if not os.environ.get(SETTING):
        return set()
    return {top(point.module) for point in entry_points(group=GROUP)} - NOT_EXTENSIONS


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value
