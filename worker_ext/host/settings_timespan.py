"""Durations as .NET writes them: host.json, retry policies and timer schedules use them."""

from __future__ import annotations

import re
from datetime import timedelta

# Tried in this order, as `TimeSpan.Parse` does with the invariant culture: three numbers are hours, minutes and
# seconds, unless the first is no hour of a day, and then they are days, hours and minutes.
_FORMS = [
    re.compile(form.replace("N", "[0-9]{1,20}").replace("F", "[0-9]{1,7}"))
    for form in (
        r"(?P<days>N)",
        r"(?P<hours>N):(?P<minutes>N)",
        r"(?P<hours>N):(?P<minutes>N):(?P<seconds>N)(?:\.(?P<fraction>F))?",
        r"(?P<days>N)[.:](?P<hours>N):(?P<minutes>N)",
        r"(?P<days>N)[.:](?P<hours>N):(?P<minutes>N):(?P<seconds>N)(?:\.(?P<fraction>F))?",
    )
]
_LIMITS = {"days": 10_675_199, "hours": 23, "minutes": 59, "seconds": 59, "fraction": 9_999_999}
_MAX = timedelta(days=10_675_199, hours=2, minutes=48, seconds=5, microseconds=477_580)  # `TimeSpan.MaxValue`


def parse_timespan(text: str) -> timedelta:
    """Read a .NET ``TimeSpan``: ``[-]d``, ``[-][d.]hh:mm[:ss[.fffffff]]``, or the same with a colon after the days.

    Two readings surprise: ``"90"`` is 90 days, and ``"25:00:00"`` is 25 days, for lack of a 25th hour.
    The seventh digit of a fraction is rounded away, a ``timedelta`` has microseconds.

    :raises ValueError: it is not such a duration, or out of range. The message does not repeat the text.

    Source: https://learn.microsoft.com/dotnet/api/system.timespan.parse
    """
    stripped = text.strip()
    negative = stripped.startswith("-")
    for form in _FORMS:
        match = form.fullmatch(stripped, 1 if negative else 0)
        if match is None:
            continue
        groups = {unit: digits or "0" for unit, digits in match.groupdict().items()}
        if "fraction" in groups:
            groups["fraction"] = groups["fraction"].ljust(7, "0")
        parts = {unit: int(digits) for unit, digits in groups.items()}
        if all(number <= _LIMITS[unit] for unit, number in parts.items()):
            duration = timedelta(microseconds=parts.pop("fraction", 0) / 10, **parts)
            if duration <= _MAX:
                return -duration if negative else duration
    raise ValueError('not a duration like "hh:mm:ss" or "d.hh:mm:ss"')
