"""The time zone of timers: ``WEBSITE_TIME_ZONE``, with the names of either Linux (IANA) or Windows."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, tzinfo

from ...errors import ConfigurationError
from ..setting_values import lookup_setting

SETTING = "WEBSITE_TIME_ZONE"


def time_zone(environ: Mapping[str, str]) -> tzinfo:
    """The time zone that the settings name; UTC if they name none.

    :raises ConfigurationError: if there is none of that name.
    """
    name = (lookup_setting(SETTING, environ) or "").strip()
    if not name or name.upper() == "UTC":
        return UTC
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(_iana_names().get(name.lower(), name))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigurationError(
            f"the setting {SETTING} is {name!r}, which is no time zone that this computer knows",
            hint='It is a name such as "Europe/Berlin" or "W. Europe Standard Time".',
        ) from None


def _iana_names() -> dict[str, str]:
    try:
        from tzlocal.windows_tz import win_tz
    except ImportError:
        return {}
    return {windows.lower(): iana for windows, iana in win_tz.items()}
