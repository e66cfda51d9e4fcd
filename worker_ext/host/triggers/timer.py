"""Timer triggers: when they fire, and what their functions are told.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-timer and the behaviour of the host.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from ...errors import ConfigurationError, WorkerBusy
from ..bindings.base import Scope
from ..setting_values import resolve_settings
from ..storage import Storage
from .base import TriggerEvent, TriggerServices
from .by_hand import REASON
from .ncrontab import parse_schedule
from .polling import first_of
from .time_zone import time_zone

_SHOWN = 5
"""How many occurrences the log shows at the start."""

_MONITORED = timedelta(minutes=1)
"""Schedules with shorter intervals are not monitored unless the function asks for it."""

_GROUP = "timers"
_NEVER = datetime.min.replace(tzinfo=UTC)


class TimerTrigger:
    """Has its function run by a schedule. Runs never overlap: an occurrence during one is left out.

    :param binding: the trigger's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if its schedule cannot be read, or a setting is missing.
    """

    exclusive = True

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        self._function = scope.function
        text = binding.get("schedule")
        if not isinstance(text, str) or not text.strip():
            raise ConfigurationError("its timer trigger has no schedule", hint='For example  "0 */5 * * * *"')
        text = resolve_settings(text, scope.environ, "its schedule")
        self._zone = time_zone(scope.environ)
        try:
            self._schedule = parse_schedule(text, self._zone)
        except ValueError as error:
            raise ConfigurationError(
                f"its schedule {text!r} is wrong: {error}",
                hint='It is an NCRONTAB expression such as "0 */5 * * * *", or an interval such as "00:05:00".',
            ) from None
        self._run_on_startup = binding.get("runOnStartup") in (True, "true", "True")
        self._monitor = binding.get("useMonitor")

    async def watch(self, services: TriggerServices) -> None:
        """Have the function run by its schedule (see :meth:`Trigger.watch`)."""
        now = services.clock.now()
        status = _Status(services, self._function, is_kept=self._is_monitored(now))
        self._tell(services, now)
        missed = status.missed(now, self._schedule.next_after)
        if missed is not None:
            services.console.info(f"The timer of {self._function} is past due since {missed.isoformat()}; it runs now.")
            await self._fire(services, status, missed, unscheduled="IsPastDue")
        elif self._run_on_startup:
            await self._fire(services, status, now, unscheduled="RunOnStartup")
        elif status.next is None:
            status.update(_NEVER, self._schedule.next_after(now), _NEVER)
        while not services.stopping.is_set():
            after = max(services.clock.now(), status.last)  # a clock that wakes a little early must not fire twice
            following = self._schedule.next_after(after)
            if following is None:
                services.console.warning(f"The schedule of {self._function} has no occurrence any more.")
                return
            await first_of(services.clock.sleep_until(following), services.stopping.wait())
            if not services.stopping.is_set():
                await self._fire(services, status, following)

    async def by_hand(self, storage: Storage, text: str) -> TriggerEvent:
        """What a run by hand gives the function; ``text`` is ignored."""
        return TriggerEvent("json", self._input(None, None, past_due=False), REASON)

    async def _fire(self, services: TriggerServices, status: _Status, planned: datetime, unscheduled: str = "") -> None:
        started = max(services.clock.now(), planned)
        details = {"UnscheduledInvocationReason": unscheduled} if unscheduled else {}
        past_due = unscheduled == "IsPastDue"
        if past_due:
            details["OriginalSchedule"] = planned.isoformat()
        following = planned if not unscheduled or past_due else self._schedule.next_after(started)
        given = self._input(status if status.is_kept else None, following, past_due=past_due)
        reason = f"Timer fired at {started.isoformat()}"
        error = await services.run(TriggerEvent("json", given, reason, details=details))
        if not isinstance(error, WorkerBusy):  # then it has not run, and is past due when the host starts again
            status.update(started, self._schedule.next_after(started), started)

    def _input(self, status: _Status | None, following: datetime | None, *, past_due: bool) -> bytes:
        """What the SDK's ``TimerRequest`` is made of; without a status if none is kept, as in Azure."""
        shown = None
        if status is not None:
            times = {"Last": status.last, "Next": following or _NEVER, "LastUpdated": status.last_updated}
            shown = {name: _local(moment, self._zone) for name, moment in times.items()}
        document = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": shown, "IsPastDue": past_due}
        return json.dumps(document).encode()

    def _is_monitored(self, now: datetime) -> bool:
        if self._monitor is not None:
            return self._monitor in (True, "true", "True")
        first = self._schedule.next_after(now)
        second = self._schedule.next_after(first) if first is not None else None
        return first is None or second is None or second - first >= _MONITORED

    def _tell(self, services: TriggerServices, now: datetime) -> None:
        occurrences: list[datetime] = []
        moment: datetime | None = now
        while len(occurrences) < _SHOWN and (moment := self._schedule.next_after(moment or now)) is not None:
            occurrences.append(moment)
        lines = [f"  {_shown(one, self._zone)}" for one in occurrences] or ["  none"]
        shown = "\n".join(lines)
        services.console.info(f"The next {_SHOWN} occurrences of {self._function} ({self._schedule}):\n{shown}")


class _Status:
    """When a timer fired last and is to fire next.

    :param is_kept: whether it is kept between starts of the host.
    """

    def __init__(self, services: TriggerServices, function: str, *, is_kept: bool) -> None:
        self._services = services
        self._function = function
        self.is_kept = is_kept
        kept = services.state.read(_GROUP, function) if is_kept else None
        kept = kept if isinstance(kept, dict) else {}
        self.last = _parsed(kept.get("Last")) or _NEVER
        self.last_updated = _parsed(kept.get("LastUpdated")) or _NEVER
        self.next = _parsed(kept.get("Next"))

    def missed(self, now: datetime, next_after: Callable[[datetime], datetime | None]) -> datetime | None:
        """The occurrence that the host has missed while it did not run; none if the schedule was another one then."""
        if self.next is not None and self.last != _NEVER and next_after(self.last) != self.next:
            self.next = None
        return self.next if self.next is not None and self.next <= now else None

    def update(self, last: datetime, following: datetime | None, updated: datetime) -> None:
        """Note when it fired, and keep that."""
        self.last, self.next, self.last_updated = last, following, updated
        if not self.is_kept or following is None:
            return
        times = {"Last": last, "Next": following, "LastUpdated": updated}
        try:
            document = {name: moment.isoformat() for name, moment in times.items()}
            self._services.state.write(_GROUP, self._function, document)
        except OSError as error:
            self._services.console.warning(f"When {self._function} ran cannot be kept: {error}")


def _local(moment: datetime, zone: tzinfo) -> str:
    return moment.isoformat() if moment == _NEVER else moment.astimezone(zone).isoformat()


def _shown(moment: datetime, zone: tzinfo) -> str:
    local, utc = moment.astimezone(zone).isoformat(" "), moment.isoformat(" ")
    return local if local == utc else f"{local} ({utc})"


def _parsed(text: object) -> datetime | None:
    """A time with its zone, as this module writes it; ``None`` for anything else, and for never."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None and moment > _NEVER else None
