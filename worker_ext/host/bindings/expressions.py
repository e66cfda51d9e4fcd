"""Binding expressions: ``{name}`` in paths, names of queues and keys of tables.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-expressions-patterns
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from ...errors import ConfigurationError
from .base import BindingData, BindingFailed

_GUID_FORMATS = {"": "{}", "d": "{}", "n": "{}", "b": "{{{}}}", "p": "({})"}
_DEFAULT_TIME = "yyyy-MM-ddTHH-mm-ssK"
_TIME_PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|\\.|yyyy|yy|y|MMMM|MMM|MM|M|dddd|ddd|dd|d|HH|H|hh|h|mm|m|ss|s|f+|tt|K|.")


def json_properties(data: bytes) -> dict[str, Any]:
    """The properties of a JSON object, which expressions can name; none if it is something else."""
    if not data.lstrip().startswith(b"{"):
        return {}
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


class _Expression(NamedTuple):
    name: str
    format: str


class Template:
    """A text with ``{name}`` expressions; ``{{`` and ``}}`` stand for braces.

    :param text: the text, its settings resolved.
    :param what: what it is, for errors.
    :raises ConfigurationError: if its braces do not match.
    :ivar text: the text.
    """

    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self._what = what
        self._parts = list(_parse(text, what))

    @property
    def is_fixed(self) -> bool:
        """Whether there is no expression in it."""
        return all(isinstance(part, str) for part in self._parts)

    def fill(self, data: BindingData, *, escape: Callable[[str], str] = str) -> str:
        """The text with the values of its expressions.

        :param escape: applied to each value.
        :raises BindingFailed: if one has no value.
        """
        return "".join(part if isinstance(part, str) else escape(self._value(part, data)) for part in self._parts)

    def _value(self, expression: _Expression, data: BindingData) -> str:
        name = expression.name.lower()
        if name in ("rand-guid", "sys.randguid"):
            return _guid(expression.format)
        if name in ("datetime", "sys.utcnow"):
            return format_time(datetime.now(UTC), expression.format or _DEFAULT_TIME)
        found: Any = data
        for step in expression.name.split("."):
            found = _member(found, step)
            if found is None:
                known = ", ".join(sorted(data)) or "nothing"
                raise BindingFailed(
                    f"{self._what} is {self.text!r}, but {{{expression.name}}} has no value; known: {known}"
                )
        if isinstance(found, bool):
            return str(found).lower()
        return found if isinstance(found, str) else json.dumps(found)


class Pattern:
    """A template that a path is compared with, such as ``{name}.{ext}``.

    Every expression matches as much as it can, as in Azure: of ``a.b.txt`` the name is ``a.b``.

    :param template: the template; every expression in it is a plain name.
    :raises ConfigurationError: if a name comes twice, or is no plain name.
    """

    def __init__(self, template: Template) -> None:
        regex = ""
        self.names: list[str] = []
        for part in template._parts:
            if isinstance(part, str):
                regex += re.escape(part)
                continue
            if not part.name.isidentifier() or part.format or part.name.lower() in map(str.lower, self.names):
                raise ConfigurationError(
                    f"{template._what} is {template.text!r}: {{{part.name}}} cannot stand there,"
                    " as every expression in it must be a name, and another one"
                )
            self.names.append(part.name)
            regex += "(.*)"
        self._regex = re.compile(regex, re.DOTALL)

    def match(self, path: str) -> dict[str, str] | None:
        """The values of its expressions if it matches the whole of ``path``."""
        found = self._regex.fullmatch(path)
        return None if found is None else dict(zip(self.names, found.groups(), strict=True))


def format_time(moment: datetime, form: str) -> str:
    """A time as .NET formats it with a custom format.

    :param moment: in UTC.
    :param form: the format, such as ``yyyy-MM-dd``.

    Source: https://learn.microsoft.com/dotnet/standard/base-types/custom-date-and-time-format-strings
    """
    return "".join(_time_part(moment, match[0]) for match in _TIME_PARTS.finditer(form))


def _time_part(moment: datetime, part: str) -> str:
    twelve = (moment.hour - 1) % 12 + 1
    numbers = {
        "yyyy": f"{moment.year:04}",
        "yy": f"{moment.year % 100:02}",
        "y": str(moment.year % 100),
        "MMMM": _MONTHS[moment.month - 1],
        "MMM": _MONTHS[moment.month - 1][:3],
        "dddd": _DAYS[moment.weekday()],
        "ddd": _DAYS[moment.weekday()][:3],
        "tt": "AM" if moment.hour < 12 else "PM",
        "K": "Z",
    }
    for letter, number in {
        "M": moment.month,
        "d": moment.day,
        "H": moment.hour,
        "h": twelve,
        "m": moment.minute,
        "s": moment.second,
    }.items():
        numbers[letter], numbers[letter * 2] = str(number), f"{number:02}"
    if part.startswith("f"):
        return f"{moment.microsecond:06}0"[: len(part)]
    if len(part) > 1 and part[0] in "'\"":
        return part[1:-1]
    return part[1:] if len(part) == 2 and part[0] == "\\" else numbers.get(part, part)


_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def _guid(form: str) -> str:
    digits = uuid.uuid4()
    return _GUID_FORMATS.get(form.lower(), "{}").format(digits.hex if form.lower() == "n" else digits)


def _member(value: Any, name: str) -> Any:
    if not isinstance(value, Mapping):
        return None
    if name in value:
        return value[name]
    folded = name.lower()
    return next((found for key, found in value.items() if str(key).lower() == folded), None)


def _parse(text: str, what: str) -> Iterable[str | _Expression]:
    literal, at = "", 0
    while at < len(text):
        character = text[at]
        if text[at : at + 2] in ("{{", "}}"):
            literal += character
            at += 2
        elif character == "{":
            end = text.find("}", at)
            name, _, form = text[at + 1 : end].partition(":")
            if end < 0 or not name.strip() or "{" in name + form:
                raise ConfigurationError(f"{what} is {text!r}; the brace at its character {at + 1} begins no {{name}}")
            if literal:
                yield literal
                literal = ""
            yield _Expression(name.strip(), form)
            at = end + 1
        elif character == "}":
            raise ConfigurationError(f"{what} is {text!r}; the brace at its character {at + 1} ends no {{name}}")
        else:
            literal += character
            at += 1
    if literal:
        yield literal
