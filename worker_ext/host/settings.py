"""The settings of a function app: ``local.settings.json`` and ``host.json``."""

from __future__ import annotations

from worker_ext.host.settings_host import HostJson, HttpOptions, RetryOptions, load_host_json, read_retry
from worker_ext.host.settings_local import LocalSettings, load_local_settings
from worker_ext.host.settings_timespan import parse_timespan
from worker_ext.host.settings_tree import REQUIRED, Setting

__all__ = [
    "REQUIRED",
    "HostJson",
    "HttpOptions",
    "LocalSettings",
    "RetryOptions",
    "Setting",
    "load_host_json",
    "load_local_settings",
    "parse_timespan",
    "read_retry",
]
