"""When the timers of an app are due, by the clock of its client, and what their functions are told."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from ..host.setting_values import resolve_settings
from ..host.triggers.ncrontab import Schedule, parse_schedule
from ..host.triggers.time_zone import time_zone
from ..runtimes.azure.bindings import BoundFunction
from .clock import Clock


class Timers:
    """The timers of an app. They fire when somebody says so, and then know whether that is late.

    :param clock: the time.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._schedules: dict[str, Schedule] = {}
        self._last: dict[str, datetime] = {}
        self._next: dict[str, datetime | None] = {}

    def add(self, functions: Iterable[BoundFunction]) -> None:
        """Begin to watch those of the functions that timers start; the settings are in the environment now.

        :raises ConfigurationError: if a schedule, or the time zone, names a setting that is not there, or none at all.
        :raises ValueError: if a schedule cannot be read.
        """
        for bound in functions:
            if bound.trigger.binding.type == "timerTrigger":
                name, text = bound.function.name, str(bound.trigger.binding.raw.get("schedule"))
                schedule = parse_schedule(resolve_settings(text, os.environ, "its schedule"), time_zone(os.environ))
                self._schedules[name] = schedule
                self._next[name] = schedule.next_after(self._clock.now())

    def fire(self, name: str, past_due: bool | None) -> dict[str, Any]:
        """What the host sends to a timer's function now.

        :param past_due: whether it is late; if ``None``, it is if its time has passed.
        """
        now, planned = self._clock.now(), self._next[name]
        if past_due is None:
            past_due = planned is not None and planned < now
        last, following = self._last.get(name, now), self._schedules[name].next_after(now)
        self._last[name], self._next[name] = now, following
        times = {"Last": last, "Next": following or now, "LastUpdated": last}
        return {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {key: moment.isoformat() for key, moment in times.items()},
            "IsPastDue": past_due,
        }

    def due(self, until: datetime) -> tuple[datetime, str] | None:
        """The timer that is due next, and when; ``None`` if none is until then."""
        planned = [(moment, name) for name, moment in self._next.items() if moment is not None and moment <= until]
        return min(planned, default=None)
