"""``application.yml``: which services an app has, and where their settings and their code lie.

A service sees its own folders (``etc/baetyl``, ``var/db/baetyl/...``), into which volumes are mounted. Here all is
resolved to the folders that the volumes are, below the app's own folder.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...errors import ConfigurationError
from ..settings_tree import REQUIRED, Setting
from . import settings, settings_names
from .circles import Route, circles
from .settings_function import ServiceSettings, service_settings
from .settings_hub import HubSettings, hub_settings
from .settings_manager import ManagerSettings, Pool, manager_settings

PLACES = ("var/db/baetyl/application.yml", "application.yml")
"""Where the file is, seen from the app's folder."""

CONFIGURATION = "etc/baetyl/service.yml"
"""Where a service sees its settings."""

_HOME = PurePosixPath("var/db/baetyl")
_NAMES = {"hub": settings_names.HUB, "manager": settings_names.MANAGER, "function": settings_names.FUNCTION}
_ROLES = (
    ("hub", re.compile(r"(baetyl|openedge)-hub")),
    ("manager", re.compile(r"(baetyl|openedge)-function(-manager)?")),
    ("function", re.compile(r"(baetyl|openedge)-function-python\d*(-\w+)*")),
)


@dataclass(frozen=True)
class Application:
    """A Baetyl app.

    :ivar root: the folder that volumes are below.
    :ivar file: its ``application.yml``.
    :ivar hubs: the hubs by the names of their services.
    :ivar managers: the function-managers by the names of their services.
    :ivar functions: the function services by their names.
    :ivar skipped: the services that this host does not run, with their images.
    :ivar warnings: what is likely to be a mistake in the settings, for people.
    """

    root: Path
    file: Path
    hubs: Mapping[str, HubSettings]
    managers: Mapping[str, ManagerSettings]
    functions: Mapping[str, ServiceSettings]
    skipped: Mapping[str, str]
    warnings: Sequence[str]


def find(folder: Path) -> Path | None:
    """The ``application.yml`` of the app in a folder, if it holds one."""
    return next((folder / place for place in PLACES if (folder / place).is_file()), None)


def read(folder: Path, environ: Mapping[str, str] = os.environ) -> Application:
    """Read an app with the settings of all its services.

    :raises ConfigurationError: if a setting is wrong, with the place.
    """
    file = find(folder)
    if file is None:
        raise ConfigurationError(f"there is no {' or '.join(PLACES)} in this folder", file=folder)
    root = settings.read(file, environ)
    base = _base(file)
    volumes = settings.uniquely(root["volumes"].elements(), "name")
    places = {one["name"].text(REQUIRED): base / _inner(one["path"]) for one in volumes}
    hubs, managers, functions, skipped = {}, {}, {}, {}
    warnings = [*settings_names.misspelt(root, settings_names.APPLICATION)]
    services = root["services"]
    if not services.elements():
        raise services.error("a list with a service at least")
    for setting in settings.uniquely(services.elements(), "name"):
        name, image = setting["name"].text(REQUIRED), setting["image"].text(REQUIRED)
        role = _role(image)
        if role is None:
            skipped[name] = image
            continue
        service = _Service(setting, places, base)
        place = service.resolve(CONFIGURATION)
        if not place.is_file():
            raise ConfigurationError(
                f"the settings of the service {name} are missing: there is no file {place}",
                file=file,
                line=setting.line,
                hint=f"They are what the service sees as {CONFIGURATION}: look at its mounts and the volumes' paths.",
            )
        document = settings.read(place, environ)
        warnings += settings_names.misspelt(document, _NAMES[role])
        if role == "hub":
            hubs[name] = hub_settings(document, service.resolve)
        elif role == "manager":
            managers[name] = manager_settings(document, service.resolve)
        else:
            functions[name] = service_settings(document, service.resolve)
    for manager in managers.values():
        for pool in manager.pools.values():
            _check_pool(pool, functions)
        warnings += _circles(manager, hubs)
    return Application(base, file, hubs, managers, functions, skipped, warnings)


class _Service:
    """The folders of one service."""

    def __init__(self, setting: Setting, volumes: Mapping[str, Path], base: Path) -> None:
        self._base = base
        self._mounts: list[tuple[PurePosixPath, Path]] = []
        for mount in setting["mounts"].elements():
            name = mount["name"].text(REQUIRED)
            if name not in volumes:
                raise mount["name"].error(f"the name of a volume ({', '.join(volumes) or 'there are none'})")
            self._mounts.append((_inner(mount["path"]), volumes[name]))

    def resolve(self, path: str) -> Path:
        """Where a path as the service sees it is; without a mount, below the app's folder."""
        inner = _normal(path)
        fitting = [(mount, volume) for mount, volume in self._mounts if inner.is_relative_to(mount)]
        if not fitting:
            return self._base / inner
        mount, volume = max(fitting, key=lambda pair: len(pair[0].parts))
        return volume / inner.relative_to(mount)


def _check_pool(pool: Pool, functions: Mapping[str, ServiceSettings]) -> None:
    service = functions.get(pool.service)
    if service is None:
        raise ConfigurationError(
            f"there is no service {pool.service!r} in application.yml that holds functions",
            file=pool.where,
            hint=f"The function {pool.name} is to be in it. There are: {', '.join(functions) or 'none'}",
        )
    names = [function.name for function in service.functions]
    if pool.name not in names:
        raise ConfigurationError(
            f"the service {pool.service} has no function {pool.name!r}; it has {', '.join(names)}",
            file=pool.where,
        )


def _circles(manager: ManagerSettings, hubs: Mapping[str, HubSettings]) -> Iterator[str]:
    """Warnings about rules whose replies come back to them; a function that returns ``None`` may well end that."""
    routes = [
        Route(rule.topic, rule.reply_topic, f"rule {rule.client_id} ({rule.where})")
        for rule in manager.rules
        if rule.reply_topic is not None
    ]
    hub = hubs.get(manager.broker.host)
    forwarded = hub.subscriptions if hub is not None else ()
    for circle in circles([*routes, *(Route(one.source, one.target, "the hub's subscription") for one in forwarded)]):
        steps = ", ".join(f"{route.source} -> {route.target} by {route.where}" for route in circle)
        yield f"A message goes in a circle until a function returns None: {steps}."


def _role(image: str) -> str | None:
    """What an image is for; its registry and its tag do not matter."""
    name = image.rpartition("/")[2].partition(":")[0].partition("@")[0]
    return next((role for role, pattern in _ROLES if pattern.fullmatch(name)), None)


def _base(file: Path) -> Path:
    """The folder that the paths of volumes are below."""
    home = file.parent
    if home.parts[-len(_HOME.parts) :] == _HOME.parts:
        return home.parents[len(_HOME.parts) - 1]
    return home


def _inner(setting: Setting) -> PurePosixPath:
    path = _normal(setting.text(REQUIRED))
    if ".." in path.parts:
        raise setting.error("a path without ..")
    return path


def _normal(path: str) -> PurePosixPath:
    """A path of a service, relative to its root, without what means nothing."""
    return PurePosixPath(os.path.normpath(path.replace("\\", "/")).replace("\\", "/").lstrip("/"))
