"""What Baetyl's settings files hold besides plain YAML: durations and sizes as Go writes them, templates."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ...errors import ConfigurationError
from ..settings_tree import REQUIRED, Setting

Default = TypeVar("Default")

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_SIZE = re.compile(r"(\d{1,15})\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_TEMPLATE = re.compile(r"\{\{(.*?)(?:\}\}|$)", re.MULTILINE)
_VARIABLE = re.compile(r"\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*")


def parse_duration(text: str) -> float:
    """Read a duration such as ``30s``, ``1m30s`` or ``500ms``, and return its seconds.

    :raises ValueError: if it is none.

    Source: https://pkg.go.dev/time#ParseDuration
    """
    stripped = text.strip()
    if stripped == "0":
        return 0.0
    if _DURATION.fullmatch(stripped) is None:
        raise ValueError("no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(stripped))


def duration(setting: Setting, default: Default) -> float | Default:
    """A duration in seconds.

    :raises ConfigurationError: if the setting is none.
    """
    return _parsed(setting, default, parse_duration, "a duration like 30s, 1m30s or 500ms")


def parse_size(text: str) -> int:
    """Read a number of bytes such as ``4m`` or ``512k``.

    :raises ValueError: if it is none.
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("no size")
    return int(match[1]) << 10 * " kmgt".index(match[2].lower() or " ")


def size(setting: Setting, default: Default) -> int | Default:
    """A number of bytes.

    :raises ConfigurationError: if the setting is none.
    """
    return _parsed(setting, default, parse_size, "a number of bytes like 4194304, 512k or 4m")


Parsed = TypeVar("Parsed")


def _parsed(setting: Setting, default: Default, parse: Callable[[str], Parsed], allowed: str) -> Parsed | Default:
    text = setting.text(None)
    if not text:
        if default is REQUIRED:
            raise setting.error(allowed)
        return default
    try:
        return parse(text)
    except ValueError:
        raise setting.error(allowed) from None


def fill_template(text: str, environ: Mapping[str, str], file: Path) -> str:
    """Replace ``{{.NAME}}`` by environment variables, as Baetyl does before it reads a settings file.

    :raises ConfigurationError: if a variable is not set, or the template asks for more than a variable.
    """

    def value(match: re.Match[str]) -> str:
        line = 1 + text.count("\n", 0, match.start())
        variable = _VARIABLE.fullmatch(match[1])
        if variable is None or not match[0].endswith("}}"):
            raise ConfigurationError(
                f"the template {match[0]!r} is not supported", file=file, line=line, hint="Write {{.VARIABLE}}."
            )
        if variable[1] not in environ:
            raise ConfigurationError(
                f"the environment variable {variable[1]} is not set",
                file=file,
                line=line,
                hint=f"The settings file asks for it: {match[0]}. Set it where the host is started.",
            )
        return environ[variable[1]]

    return _TEMPLATE.sub(value, text)
