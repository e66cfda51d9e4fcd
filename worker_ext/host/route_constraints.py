"""The inline constraints of ASP.NET Core route templates, as in ``{id:int}`` or ``{name:length(2,5)}``.

The names are those of ``RouteOptions.ConstraintMap`` (dotnet/aspnetcore, ``src/Http/Routing/src/RouteOptions.cs``), the
meaning is that of the classes in ``Constraints/`` beside it, which parse with .NET's ``TryParse`` in the invariant
culture. Two differ: ``regex`` uses Python's ``re``, whose syntax is close to .NET's but not the same (``(?P<name>…)``
instead of ``(?<name>…)``), and ``datetime`` knows the usual forms of a date and a time, not all that .NET can guess.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from difflib import get_close_matches

from worker_ext.errors import ConfigurationError

Predicate = Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Constraint:
    """What a parameter's value must be, such as ``int`` or ``length(2,5)``.

    :param name: the constraint's name in lower case.
    :param argument: the text in its parentheses; ``None`` without parentheses.
    :param accepts: says whether a value satisfies it.
    """

    name: str
    argument: str | None
    accepts: Predicate = field(compare=False, repr=False)


def make_constraint(text: str) -> Constraint:
    """Make the constraint that ``text`` describes, for example ``int`` or ``range(1,12)``.

    :raises ConfigurationError: there is no such constraint, or its argument is wrong.
    """
    name, opening, rest = text.partition("(")
    if opening and not rest.endswith(")"):
        raise ConfigurationError(f"the argument of {text!r} is not closed with ')'")
    argument = rest[:-1] if opening else None
    name = name.lower()
    if name in _SIMPLE:
        if argument is not None:
            raise ConfigurationError(f"the constraint {name!r} takes no argument")
        return Constraint(name, None, _SIMPLE[name])
    if name == "regex":
        return Constraint(name, argument, _regex(argument))
    if name in _BOUNDED:
        return Constraint(name, argument, _bounded(name, argument))
    known = [*_SIMPLE, *_BOUNDED, "regex"]
    nearest = get_close_matches(name, known, n=1)
    hint = f"Did you mean {nearest[0]!r}?" if nearest else f"There are: {', '.join(sorted(known))}."
    raise ConfigurationError(f"there is no constraint {name!r}", hint=hint)


_BLANK = "[\t\n\v\f\r ]*+"  # the white space of .NET's number parsing; possessive, so that it is looked at once
_DIGITS = r"(?:[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)"  # thousands separators may stand anywhere after a digit
_INTEGER = re.compile(rf"{_BLANK}([+-]?)0*([0-9]{{1,19}}){_BLANK}")
_DECIMAL = re.compile(rf"{_BLANK}([+-])?({_DIGITS}){_BLANK}(?(1)|[+-]?){_BLANK}")
_DECIMAL_LIMIT = Decimal("79228162514264337593543950335.5")  # what is not below it rounds to 2^96 or more
_FLOAT = re.compile(rf"{_BLANK}[+-]?(?:{_DIGITS}(?:e[+-]?[0-9]+)?|infinity|nan){_BLANK}", re.IGNORECASE)
_DASHED = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_BYTE = "0x[0-9a-f]{1,2}"
_GUID = re.compile(
    rf"[0-9a-f]{{32}}|{_DASHED}|\{{{_DASHED}\}}|\({_DASHED}\)"
    rf"|\{{0x[0-9a-f]{{1,8}}(?:,0x[0-9a-f]{{1,4}}){{2}},\{{{_BYTE}(?:,{_BYTE}){{7}}\}}\}}",
    re.IGNORECASE,
)
_ALPHA = re.compile("^[A-Za-z]*$")
_INT32 = range(-(2**31), 2**31)
_INT64 = range(-(2**63), 2**63)


def _integer(value: str, limits: range = _INT64) -> int | None:
    match = _INTEGER.fullmatch(value)
    if match is None:
        return None
    number = int(match[1] + match[2])
    return number if number in limits else None


def _is_decimal(value: str) -> bool:
    match = _DECIMAL.fullmatch(value)
    return match is not None and Decimal(match[2].replace(",", "")) < _DECIMAL_LIMIT


def _is_float(value: str) -> bool:
    return _FLOAT.fullmatch(value) is not None  # too large a number is infinite, for .NET as for us


def _is_file(value: str) -> bool:
    name = value.rpartition("/")[2]
    return name.partition(".")[2].strip(".") != ""


# The forms in which a date is usually written in a path; each may be followed by a time, and a time may stand alone.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    "(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    "|sep(?:tember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_WEEKDAY = "(?:(?:mon|tue(?:s)?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?,?[ ]+)?"
_TIME = (
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d+)?)?)?(?:[ ]*(?P<half>[ap]m))?"
    r"[ ]*(?:z|gmt|[+-]\d{1,2}:?\d\d)?"
)
_DATE_TIMES = tuple(
    re.compile(pattern, re.IGNORECASE | re.ASCII)
    for pattern in (
        *(
            rf"{date}(?:(?:t|[ ]+){_TIME})?"
            for date in (
                r"(?P<year>\d{4})[-/.](?P<month>\d{1,2})(?:[-/.](?P<day>\d{1,2}))?",
                r"(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})(?:[-/.](?P<year>\d{4}|\d\d))?",
                rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ -]{_MONTH}(?:[ -](?P<year>\d{{4}}|\d\d))?",
                rf"{_WEEKDAY}{_MONTH}[ ]+(?P<day>\d{{1,2}})(?:,?[ ]+(?P<year>\d{{4}}))?",
                rf"{_MONTH},?[ ]+(?P<year>\d{{4}})",
            )
        ),
        _TIME,
    )
)


def _is_datetime(value: str) -> bool:
    text = value.strip()
    return any((match := pattern.fullmatch(text)) is not None and _exists(match.groupdict()) for pattern in _DATE_TIMES)


def _exists(parts: dict[str, str | None]) -> bool:
    """Say whether the calendar and the clock have this date and time; a missing part is no hindrance."""
    if parts["hour"] and not parts["minute"] and not parts["half"]:
        return False  # a number alone is no time
    year = parts.get("year") or "2000"  # without one, a leap year
    month = (parts.get("month") or "1").lower()
    hour = int(parts["hour"] or 0)
    try:
        datetime.datetime(
            int(year) + (2000 if len(year) == 2 else 0),
            _MONTHS.index(month[:3]) + 1 if month[0].isalpha() else int(month),
            int(parts.get("day") or 1),
            hour,
            int(parts["minute"] or 0),
            int(parts["second"] or 0),
        )
    except ValueError:
        return False
    return hour <= 12 or not parts["half"]


_SIMPLE: dict[str, Predicate] = {
    "int": lambda value: _integer(value, _INT32) is not None,
    "long": lambda value: _integer(value) is not None,
    "bool": lambda value: value.strip().lower() in ("true", "false"),
    "datetime": _is_datetime,
    "decimal": _is_decimal,
    "double": _is_float,
    "float": _is_float,
    "guid": lambda value: _GUID.fullmatch(value.strip()) is not None,
    "alpha": lambda value: _ALPHA.search(value) is not None,
    "required": lambda value: value != "",
    "file": _is_file,
    "nonfile": lambda value: not _is_file(value),
}


def _length(value: str) -> int:
    """Length in UTF-16 code units, which are what .NET counts."""
    return len(value) if value.isascii() else len(value.encode("utf-16-le", "surrogatepass")) // 2


# name → what is compared, the range of its arguments, and how many there may be
_BOUNDED: dict[str, tuple[Callable[[str], int | None], range, tuple[int, ...]]] = {
    "minlength": (_length, range(2**31), (1,)),
    "maxlength": (_length, range(2**31), (1,)),
    "length": (_length, range(2**31), (1, 2)),
    "min": (_integer, _INT64, (1,)),
    "max": (_integer, _INT64, (1,)),
    "range": (_integer, _INT64, (2,)),
}


def _bounded(name: str, argument: str | None) -> Predicate:
    measure, limits, counts = _BOUNDED[name]
    items = (argument or "").split(",")
    bounds = [number for item in items if (number := _integer(item, limits)) is not None]
    if len(items) not in counts or len(bounds) != len(items):
        form = f"{name}(2,5)" if 2 in counts else f"{name}(2)"
        numbers = "whole numbers" if limits is _INT64 else "whole numbers, not negative"
        raise ConfigurationError(f"the constraint {name!r} is written with {numbers}, as in {form!r}")
    low = limits[0] if name.startswith("max") else bounds[0]
    high = limits[-1] if name.startswith("min") else bounds[-1]
    if low > high:
        raise ConfigurationError(f"the constraint {name!r} has a minimum, {low}, above its maximum, {high}")

    def accepts(value: str) -> bool:
        number = measure(value)
        return number is not None and low <= number <= high

    return accepts


def _regex(pattern: str | None) -> Predicate:
    if pattern is None:
        raise ConfigurationError("the constraint 'regex' needs a pattern, as in 'regex(^[a-z]+$)'")
    try:
        # As in RegexRouteConstraint.cs: anywhere in the value unless the pattern is anchored, and in any case.
        search = re.compile(pattern, re.IGNORECASE).search
    except (re.error, OverflowError, RecursionError) as error:
        raise ConfigurationError(
            f"Python's 're' does not accept the pattern {pattern!r}: {error}",
            hint="Use only syntax that .NET and Python have in common, so that the route means the same in both.",
        ) from None
    return lambda value: search(value) is not None
