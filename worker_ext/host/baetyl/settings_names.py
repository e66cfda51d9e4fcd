"""The names of Baetyl's settings, so that one that is nearly one of them can be told from one that is not for us."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..settings_tree import Setting

Names = Mapping[str, "Names"]
"""What a group can hold: names with what they can hold in turn, nothing for those whose content nobody checks."""


def _plain(*names: str) -> dict[str, Names]:
    return {name: {} for name in names}


_TOPIC = _plain("topic", "qos")
_MAX = _plain("max")
_LOGGER: Names = _plain("path", "level", "console", "format") | {"age": _MAX, "size": _MAX, "backup": _MAX}
_INSTANCE = _plain("min", "max", "idletime", "evicttime", "timeout", "message", "backoff")
_FILES = _plain("ca", "key", "cert", "name", "insecure")

APPLICATION: Names = _plain("version", "appVersion", "networks") | {
    "services": _plain(
        "name", "image", "replica", "ports", "args", "env", "networks", "restart", "resources", "devices"
    )
    | {"mounts": _plain("name", "path", "readonly")},
    "volumes": _plain("name", "path", "meta"),
}
HUB: Names = _plain("listen", "message", "storage", "status", "shutdown", "metrics") | {
    "certificate": _FILES,
    "principals": _plain("username", "password") | {"permissions": _plain("action", "permit")},
    "subscriptions": {"source": _TOPIC, "target": _TOPIC},
    "logger": _LOGGER,
}
MANAGER: Names = {
    "hub": _FILES
    | _plain("address", "username", "password", "clientid", "cleansession", "timeout", "interval", "keepalive"),
    "rules": _plain("clientid", "concurrency")
    | {"subscribe": _TOPIC, "function": _plain("name"), "publish": _TOPIC, "retry": _MAX},
    "functions": _plain("name", "service") | {"instance": _INSTANCE},
    "server": {},
    "logger": _LOGGER,
}
FUNCTION: Names = {
    "functions": _plain("name", "handler", "codedir"),
    "server": _FILES
    | _plain("address", "timeout")
    | {"workers": _MAX, "concurrent": _MAX, "message": {"length": _MAX}},
    "logger": _LOGGER,
}


def misspelt(setting: Setting, names: Names) -> Iterator[str]:
    """Warnings about names in a group, or in the groups of a list, that are nearly the name of a setting."""
    if setting.is_list:
        for element in setting.elements():
            yield from misspelt(element, names)
    elif setting.is_group and names:
        yield from setting.misspelt(names)
        for name, inner in names.items():
            yield from misspelt(setting[name], inner)
