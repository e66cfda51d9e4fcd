"""Schedules of timers, beside a definition by brute force."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker_ext.errors import ConfigurationError
from worker_ext.host.triggers.ncrontab import CronExpression, Interval, Schedule, parse_schedule
from worker_ext.host.triggers.time_zone import time_zone

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)  # a Tuesday
NEW_YORK = ZoneInfo("America/New_York")
LIMITS = [(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6)]


def occurrences(text: str, count: int, *, after: datetime = NOON, zone: ZoneInfo | None = None) -> list[str]:
    """The next occurrences in local time, as short as they can be told."""
    schedule = parse_schedule(text, zone or UTC)
    found = []
    for _ in range(count):
        following = schedule.next_after(after)
        assert following is not None
        after = following
        found.append(after.astimezone(zone or UTC).strftime("%m-%d %H:%M:%S"))
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("*/5 * * * *", ["11-24 12:05:00", "11-24 12:10:00"]),  # five fields: no seconds
        ("0 */5 * * * *", ["11-24 12:05:00", "11-24 12:10:00"]),
        ("30 0 9 * * Mon-Fri", ["11-25 09:00:30", "11-26 09:00:30"]),
        ("0 0 12 * January sat,SUN", ["01-02 12:00:00", "01-03 12:00:00"]),
        ("5/20 0 0 1 * *", ["12-01 00:00:05", "12-01 00:00:25"]),  # from 5 on, every 20
        ("0 0 0 13 * 5", ["08-13 00:00:00"]),  # the 13th AND a Friday: in August of next year
        ("0 0 22-20 * * *", ["11-24 20:00:00", "11-24 21:00:00"]),  # the wrong way round means the same
        ("00:00:10", ["11-24 12:00:10", "11-24 12:00:20"]),
        ("1.00:00:00", ["11-25 12:00:00"]),
    ],
)
def test_what_a_schedule_means(text: str, expected: list[str]) -> None:
    assert occurrences(text, len(expected)) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("* * * *", "it has 4 fields; five or six"),
        ("60 * * * * *", "'60' is no second, which is 0 to 59"),
        ("0 0 0 * * 7", "'7' is no day of the week, which is 0 to 6; Sunday is 0"),
        ("0 0 0 0 * *", "'0' is no day of the month, which is 1 to 31"),
        ("0 0 0 * Foo *", "'Foo' is no month"),
        ("*/0 * * * * *", "'*/0' is no second: its step must be a number from 1"),
        ("0 1- * * * *", "'1-' is no minute"),
        ("0 , * * * *", "'' is no minute"),
        ("often", "not a duration"),
        ("00:00:00", "an interval is a second at least"),
        ("-00:00:10", "an interval is a second at least"),
    ],
)
def test_what_is_no_schedule_is_told(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason.replace("*", r"\*").replace("?", r"\?")):
        parse_schedule(text, UTC)


def test_what_never_occurs_has_no_occurrence() -> None:
    assert parse_schedule("0 0 0 30 2 *", UTC).next_after(NOON) is None


def test_29_february_on_a_monday_is_found_though_it_is_far() -> None:
    found = parse_schedule("0 0 0 29 2 1", UTC).next_after(NOON)
    assert found == datetime(2044, 2, 29, tzinfo=UTC)


def _items(limits: tuple[int, int]) -> st.SearchStrategy[str]:
    numbers = st.integers(*limits).map(str)
    ranges = st.tuples(numbers, numbers).map("-".join)
    extents = st.one_of(st.just("*"), numbers, ranges)
    return st.one_of(extents, st.tuples(extents, st.integers(1, 70).map(str)).map("/".join))


FIELDS = [st.lists(_items(limits), min_size=1, max_size=3).map(",".join) for limits in LIMITS]


def _matches(field: str, value: int, limits: tuple[int, int]) -> bool:
    """Whether a field allows a value: the definition, item by item."""
    for item in field.split(","):
        extent, _, step = item.partition("/")
        if extent == "*":
            first, last = limits
        elif "-" in extent:
            first, last = sorted(int(end) for end in extent.split("-"))
        else:
            first, last = int(extent), limits[1] if step else int(extent)
        if first <= value <= last and (value - first) % int(step or 1) == 0:
            return True
    return False


@settings(max_examples=150)
@given(st.tuples(*FIELDS), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_the_next_occurrence_is_the_first_second_that_matches_every_field(
    fields: tuple[str, ...], moment: datetime
) -> None:
    found = CronExpression(" ".join(fields)).next_after(moment)

    def day_matches(day: datetime) -> bool:
        values = (day.day, day.month, day.isoweekday() % 7)
        return all(map(_matches, fields[3:], values, LIMITS[3:]))

    def time_matches(hour: int, minute: int, second: int) -> bool:
        return all(map(_matches, fields[:3], (second, minute, hour), LIMITS[:3]))

    times = [[value for value in range(low, high + 1) if _matches(field, value, (low, high))]
             for field, (low, high) in zip(fields[:3], LIMITS[:3], strict=True)]  # fmt: skip
    day, end = moment.replace(hour=0, minute=0, second=0, microsecond=0), found or moment + timedelta(days=3000)
    while day <= end:  # no earlier day has a time that would do
        if day_matches(day):
            for hour in times[2]:
                for minute in times[1]:
                    for second in times[0]:
                        candidate = day.replace(hour=hour, minute=minute, second=second)
                        if candidate > moment:
                            assert candidate == found
                            return
        day += timedelta(days=1)
    assert found is None


class TestClocksThatAreSet:
    """New York sets its clocks from 2:00 to 3:00 on 8 March 2026, and from 2:00 back to 1:00 on 1 November."""

    SPRING = datetime(2026, 3, 8, 5, tzinfo=UTC)  # midnight there
    AUTUMN = datetime(2026, 11, 1, 4, tzinfo=UTC)

    def test_a_time_of_the_day_that_is_skipped_runs_when_clocks_are_set(self) -> None:
        found = occurrences("0 30 2 * * *", 2, after=self.SPRING, zone=NEW_YORK)
        assert found == ["03-08 03:00:00", "03-09 02:30:00"]

    def test_a_time_of_the_day_that_comes_twice_runs_once(self) -> None:
        schedule = parse_schedule("0 30 1 * * *", NEW_YORK)
        first = schedule.next_after(self.AUTUMN)
        assert first == datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
        second = schedule.next_after(first)
        assert second == datetime(2026, 11, 2, 6, 30, tzinfo=UTC)

    @pytest.mark.parametrize("start", [SPRING, AUTUMN])
    @pytest.mark.parametrize("minutes", [10, 30])
    def test_a_schedule_of_every_hour_goes_on_evenly(self, start: datetime, minutes: int) -> None:
        schedule = parse_schedule(f"0 */{minutes} * * * *", NEW_YORK)
        moment = start
        for _ in range(6 * 60 // minutes):
            following = schedule.next_after(moment)
            assert following == moment + timedelta(minutes=minutes)
            moment = following

    @settings(max_examples=60)
    @given(
        st.sampled_from(["0 0 * * * *", "0 15,45 1-3 * * *", "*/20 * * * * *", "0 30 2 * * Sun", "0 0 */2 1-9 3,11 *"]),
        st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC)),
        st.sampled_from(
            ["America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"]
        ),
    )
    def test_occurrences_lie_after_their_moment_and_in_order(self, text: str, moment: datetime, zone: str) -> None:
        schedule: Schedule = parse_schedule(text, ZoneInfo(zone))
        for _ in range(30):
            following = schedule.next_after(moment)
            assert following is not None
            assert following > moment
            between = moment + (following - moment) / 2
            if between > moment:
                assert schedule.next_after(between) == following
            moment = following


def test_an_interval_says_so() -> None:
    assert str(Interval(timedelta(seconds=5))) == "Constant: 0:00:05"


@pytest.mark.parametrize("name", ["Europe/Berlin", "W. Europe Standard Time", "w. europe standard time"])
def test_time_zones_have_the_names_of_linux_or_of_windows(name: str) -> None:
    assert str(time_zone({"website_time_zone": name})) == "Europe/Berlin"


def test_no_time_zone_is_utc() -> None:
    assert time_zone({}) is UTC


@pytest.mark.parametrize("name", ["Middle/Earth", "../../etc/passwd", "\0"])
def test_a_time_zone_that_does_not_exist_is_told(name: str) -> None:
    with pytest.raises(ConfigurationError, match="WEBSITE_TIME_ZONE"):
        time_zone({"WEBSITE_TIME_ZONE": name})
