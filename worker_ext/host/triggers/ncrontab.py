"""Schedules of timers: NCRONTAB expressions and intervals.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer and the library NCrontab, whose rules
are kept, also where they surprise: a range whose ends are in the wrong order is turned round, Sunday is 0 and not 7, a
name may be shortened to any beginning, and a day must match both the day of the month and the day of the week.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

from ..settings_timespan import parse_timespan

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")


class _Field(NamedTuple):
    name: str
    minimum: int
    maximum: int
    names: Sequence[str] = ()


_SECOND = _Field("second", 0, 59)
_FIELDS = (
    _SECOND,
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of the month", 1, 31),
    _Field("month", 1, 12, _MONTHS),
    _Field("day of the week", 0, 6, _DAYS),
)

_LAST_YEAR = 50
"""Years that are searched: what does not occur within them, such as 30 February, never does."""

_SECONDS = timedelta(seconds=1)


class Schedule(Protocol):
    """When a timer fires."""

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after ``moment``, in UTC; ``None`` if there is none any more."""


class Interval:
    """Fires again and again, the same time apart.

    :param interval: the time from one occurrence to the next, a second at least.
    :raises ValueError: if it is shorter.
    """

    def __init__(self, interval: timedelta) -> None:
        if interval < _SECONDS:
            raise ValueError("an interval is a second at least")
        self.interval = interval

    def next_after(self, moment: datetime) -> datetime | None:
        """``moment`` and the interval."""
        return moment + self.interval

    def __str__(self) -> str:
        return f"Constant: {self.interval}"


class CronExpression:
    """An NCRONTAB expression, in local time without regard to a time zone.

    :param text: five fields (minute, hour, day of the month, month, day of the week), or six, the second before them.
    :raises ValueError: if it is none; the message says which field is wrong.
    """

    def __init__(self, text: str) -> None:
        fields = text.split()
        if len(fields) not in (5, 6):
            raise ValueError(f"it has {len(fields)} fields; five or six were expected, as in 0 */5 * * * *")
        if len(fields) == 5:
            fields.insert(0, "0")
        values = [_parse(source, field) for source, field in zip(fields, _FIELDS, strict=True)]
        self._seconds, self._minutes, self._hours = (sorted(found) for found in values[:3])
        self._days, self._months, self._weekdays = values[3:]
        self._text = text

    @property
    def is_hourly(self) -> bool:
        """Whether it occurs in every hour of a day: then it counts time that passes, and no time of the day."""
        return len(self._hours) == 24

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after ``moment``, both without a time zone; ``None`` if there is none."""
        moment = moment.replace(microsecond=0) + _SECONDS
        day, time = moment.replace(hour=0, minute=0, second=0), (moment.hour, moment.minute, moment.second)
        last = moment.year + _LAST_YEAR
        while day.year <= min(last, 9998):
            if day.month not in self._months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                time = (0, 0, 0)
                continue
            if day.day in self._days and day.isoweekday() % 7 in self._weekdays:
                found = self._time_from(time)
                if found is not None:
                    return day.replace(hour=found[0], minute=found[1], second=found[2])
            day += timedelta(days=1)
            time = (0, 0, 0)
        return None

    def _time_from(self, time: tuple[int, int, int]) -> tuple[int, int, int] | None:
        """The first time of a day that is not before ``time``."""
        first_minute, first_second = self._minutes[0], self._seconds[0]
        for hour in self._hours:
            if hour > time[0]:
                return hour, first_minute, first_second
            if hour < time[0]:
                continue
            for minute in self._minutes:
                if minute > time[1]:
                    return hour, minute, first_second
                if minute == time[1]:
                    for second in self._seconds:
                        if second >= time[2]:
                            return hour, minute, second
        return None

    def __str__(self) -> str:
        return f"Cron: '{self._text}'"


class ZonedCron:
    """An NCRONTAB expression in a time zone.

    What happens when clocks are set is defined here. An expression that occurs in every hour counts time that passes:
    it goes on evenly, twice through an hour that comes twice. One with fixed hours means the time of the day: it
    occurs once in an hour that comes twice, at the first time, and if clocks skip its time, at the moment when they do.

    :param cron: the expression.
    :param zone: the time zone.
    """

    def __init__(self, cron: CronExpression, zone: tzinfo) -> None:
        self._cron = cron
        self._zone = zone

    def next_after(self, moment: datetime) -> datetime | None:
        """The first occurrence after ``moment``, in UTC; ``None`` if there is none."""
        return self._next_hourly(moment) if self._cron.is_hourly else self._next_fixed(moment)

    def _next_hourly(self, moment: datetime) -> datetime | None:
        """Go on from one change of the clocks to the next: in between, local time is UTC and an offset."""
        offset = self._offset(moment)
        local = _naive(moment) + offset
        while (following := self._cron.next_after(local)) is not None:
            found = (following - offset).replace(tzinfo=UTC)
            if self._offset(found) == offset:
                return found
            moment = self._change(moment, found)
            offset = self._offset(moment)
            local = _naive(moment) + offset - _SECONDS  # it may occur at that very moment
        return None

    def _next_fixed(self, moment: datetime) -> datetime | None:
        local = moment.astimezone(self._zone).replace(tzinfo=None)
        while True:
            following = self._cron.next_after(local)
            if following is None:
                return None
            found = self._moment(following)
            if found > moment:
                return found
            local = following

    def _moment(self, local: datetime) -> datetime:
        """When it is ``local`` for the first time; if clocks skip that, when they do."""
        found = local.replace(tzinfo=self._zone).astimezone(UTC)
        if found.astimezone(self._zone).replace(tzinfo=None) == local:
            return found
        early = local.replace(tzinfo=self._zone, fold=1).astimezone(UTC)
        return self._change(early, found)

    def _offset(self, moment: datetime) -> timedelta:
        return moment.astimezone(self._zone).utcoffset() or timedelta()

    def _change(self, before: datetime, after: datetime) -> datetime:
        """The first moment after ``before`` with another offset, to the second; there is one until ``after``."""
        before, after = before.replace(microsecond=0), after.replace(microsecond=0)
        offset = self._offset(before)
        while after - before > _SECONDS:
            middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
            before, after = (middle, after) if self._offset(middle) == offset else (before, middle)
        return after

    def __str__(self) -> str:
        return str(self._cron)


def parse_schedule(text: str, zone: tzinfo) -> Schedule:
    """Read the ``schedule`` of a timer trigger: an NCRONTAB expression, or an interval as .NET writes it.

    :param zone: the time zone of NCRONTAB expressions.
    :raises ValueError: if it is neither; the message says what is wrong, without repeating ``text``.
    """
    if len(text.split()) == 1:
        return Interval(parse_timespan(text))
    return ZonedCron(CronExpression(text), zone)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _parse(source: str, field: _Field) -> set[int]:
    """The values of one field: a list of values, ranges and ``*``, each with an optional step."""
    found: set[int] = set()
    for item in source.split(","):
        extent, slash, step_text = item.partition("/")
        step = 1
        if slash:
            if not (step_text.isascii() and step_text.isdecimal() and int(step_text)):
                raise ValueError(f"{item!r} is no {field.name}: its step must be a number from 1")
            step = int(step_text)
        if extent == "*":
            first, last = field.minimum, field.maximum
        else:
            begin, dash, end = extent.partition("-")
            first = _value(begin, field, item)
            last = _value(end, field, item) if dash else field.maximum if slash else first
        found.update(range(min(first, last), max(first, last) + 1, step))
    return found


def _value(text: str, field: _Field, item: str) -> int:
    if text.isascii() and text.isdecimal():
        number = int(text)
        if field.minimum <= number <= field.maximum:
            return number
    elif text:
        for place, name in enumerate(field.names):
            if name.lower().startswith(text.lower()):
                return field.minimum + place
    sunday = "; Sunday is 0" if field.names is _DAYS else ""
    raise ValueError(f"{item!r} is no {field.name}, which is {field.minimum} to {field.maximum}{sunday}")
