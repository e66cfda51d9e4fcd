"""App settings that other settings and bindings name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..errors import ConfigurationError

_SETTING = re.compile(r"%([^%]+)%")


def resolve_settings(text: str, environ: Mapping[str, str], what: str) -> str:
    """Replace every ``%NAME%`` by the app setting of that name.

    :param what: what the text is, for the error.
    :raises ConfigurationError: if there is no such setting.
    """

    def value(match: re.Match[str]) -> str:
        found = lookup_setting(match[1], environ)
        if found is None:
            raise ConfigurationError(
                f"{what} is {text!r}, but there is no setting {match[1]}",
                hint=f'Add "{match[1]}" to the Values of local.settings.json, or set it in the environment.',
            )
        return found

    return _SETTING.sub(value, text)


def lookup_setting(name: str, environ: Mapping[str, str]) -> str | None:
    """An app setting by its name; the case counts only where two differ in nothing else."""
    if name in environ:
        return environ[name]
    folded = name.lower()
    return next((value for key, value in environ.items() if key.lower() == folded), None)
