"""The time that a client's triggers go by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """A clock that stands still until it is told otherwise.

    :param start: what it shows first; now if left out. Without a time zone it is UTC.
    """

    def __init__(self, start: datetime | None = None) -> None:
        start = start or datetime.now(UTC)
        self._now = start if start.tzinfo else start.replace(tzinfo=UTC)

    def now(self) -> datetime:
        """What it shows, with a time zone."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Have it show another time; without a time zone it is UTC."""
        self._now = moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def advance(self, by: timedelta | None = None, **units: float) -> datetime:
        """Move it on.

        :param by: by how much; or say it in units, as in ``advance(minutes=5)``.
        :param units: what :class:`datetime.timedelta` takes.
        :returns: what it shows now.
        """
        self._now += (by or timedelta()) + timedelta(**units)
        return self._now

    def __repr__(self) -> str:
        return f"<Clock {self._now.isoformat()}>"
