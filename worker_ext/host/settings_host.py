"""``host.json``: the settings of a function app, as the Functions host 4.x reads them.

Source: https://learn.microsoft.com/azure/azure-functions/functions-host-json and the behaviour of the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from worker_ext import jsonc
from worker_ext.errors import ConfigurationError
from worker_ext.host.settings_tree import DURATION, REQUIRED, Setting

FILE_NAME = "host.json"
ENVIRONMENT_PREFIX = "AzureFunctionsJobHost"
DEFAULT_FUNCTION_TIMEOUT = timedelta(minutes=30)
LOG_LEVELS = ("Trace", "Debug", "Information", "Warning", "Error", "Critical", "None")
FIXED_DELAY, EXPONENTIAL_BACKOFF = "fixedDelay", "exponentialBackoff"

_UNLIMITED = timedelta(days=-1)  # functionTimeout "-1" is, read as a TimeSpan, minus one day
_KNOWN = (
    "$schema", "aggregator", "concurrency", "customHandler", "extensionBundle", "extensions", "fileWatchingEnabled",
    "functionTimeout", "functions", "healthMonitor", "httpWorker", "id", "logging", "managedDependency", "retry",
    "sendCanceledInvocationsToWorker", "sequentialRestart", "singleton", "telemetryMode", "version",
    "watchDirectories", "watchFiles",
)  # fmt: skip
_KNOWN_HTTP = (
    "customHeaders", "dynamicThrottlesEnabled", "hsts", "maxConcurrentRequests", "maxOutstandingRequests",
    "routePrefix",
)  # fmt: skip
_KNOWN_RETRY = ("delayInterval", "maxRetryCount", "maximumInterval", "minimumInterval", "strategy")
# Top-level groups of version 1 that the host now ignores, a frequent slip when a file is migrated.
_MOVED = {
    "applicationinsights": "logging.applicationInsights",
    "documentdb": "extensions.cosmosDB",
    "durabletask": "extensions.durableTask",
    "eventhub": "extensions.eventHubs",
    "http": "extensions.http",
    "logger": "logging.logLevel",
    "queues": "extensions.queues",
    "sendgrid": "extensions.sendGrid",
    "servicebus": "extensions.serviceBus",
    "tracing": "logging",
}


@dataclass(frozen=True)
class HttpOptions:
    """``extensions.http``.

    :ivar route_prefix: what routes begin with, without slashes at its ends; may be empty.
    :ivar max_outstanding_requests: more than these, waiting or running, are answered with 429; None: no limit.
    :ivar max_concurrent_requests: how many functions run at the same time at most; None: no limit.
    :ivar custom_headers: headers to add to every response.
    :ivar hsts: the ``hsts`` group as it is.
    """

    route_prefix: str = "api"
    max_outstanding_requests: int | None = None
    max_concurrent_requests: int | None = None
    custom_headers: Mapping[str, str] = field(default_factory=dict)
    hsts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RetryOptions:
    """When and how often a failed invocation is tried again.

    :ivar strategy: :data:`FIXED_DELAY` or :data:`EXPONENTIAL_BACKOFF`.
    :ivar max_retry_count: -1 means without end.
    :ivar delay_interval: the delay of ``fixedDelay``, else None.
    :ivar minimum_interval: the first delay of ``exponentialBackoff``, else None.
    :ivar maximum_interval: the longest delay of ``exponentialBackoff``, else None.
    """

    strategy: str
    max_retry_count: int
    delay_interval: timedelta | None = None
    minimum_interval: timedelta | None = None
    maximum_interval: timedelta | None = None


@dataclass(frozen=True)
class HostJson:
    """What ``host.json`` says, after environment variables ``AzureFunctionsJobHost__…`` have replaced settings.

    :ivar function_timeout: how long an invocation may run; None: without limit.
    :ivar http: ``extensions.http``.
    :ivar retry: the retry policy of functions that have none of their own, if there is one.
    :ivar log_levels: ``logging.logLevel``, the level by category, spelt as in :data:`LOG_LEVELS`.
    :ivar functions: the names of the functions to run; empty: all.
    :ivar extension_bundle: ``extensionBundle`` as it is.
    :ivar extensions: ``extensions`` as it is.
    :ivar watch_directories: folders, relative to the app's, whose changes restart the app.
    :ivar watch_files: names of files whose changes restart the app.
    :ivar settings: all settings, known or not, to be read with their checks: ``settings["extensions"]["queues"]``.
    :ivar warnings: sentences to print.
    """

    function_timeout: timedelta | None
    http: HttpOptions
    retry: RetryOptions | None
    log_levels: Mapping[str, str]
    functions: tuple[str, ...]
    extension_bundle: Mapping[str, Any]
    extensions: Mapping[str, Any]
    watch_directories: tuple[str, ...]
    watch_files: tuple[str, ...]
    settings: Setting = field(repr=False, compare=False)
    warnings: tuple[str, ...] = ()
    version: str = "2.0"


def load_host_json(script_root: Path, environ: Mapping[str, str]) -> HostJson:
    """Read ``host.json`` in an app's folder.

    :param environ: the environment including the app settings, for settings that it replaces.
    :raises ConfigurationError: there is no such file (the folder is no function app), it is not JSON, or a setting has
        a value that it cannot have.
    """
    path = script_root / FILE_NAME
    try:
        document = jsonc.load(path)
    except FileNotFoundError:
        raise ConfigurationError(
            "there is no such file, so this folder is not a function app",
            file=path,
            hint="Go to the folder of a function app, or run `func init --python` to make one here.",
        ) from None
    root = Setting.from_document(document)
    _check_version(document, root)
    root.override(environ, ENVIRONMENT_PREFIX)
    warnings = [*document.warnings, *_moved(root), *root.misspelt([*_KNOWN, *_MOVED])]
    http, retry = root["extensions"]["http"], root["retry"]
    warnings += [*http.misspelt(_KNOWN_HTTP), *retry.misspelt(_KNOWN_RETRY)]
    return HostJson(
        function_timeout=_function_timeout(root["functionTimeout"], warnings),
        http=_http_options(http),
        retry=read_retry(retry),
        log_levels={level.key: level.choice(REQUIRED, LOG_LEVELS) for level in root["logging"]["logLevel"]},
        functions=root["functions"].texts(),
        extension_bundle=root["extensionBundle"].mapping(),
        extensions=root["extensions"].mapping(),
        watch_directories=root["watchDirectories"].texts(),
        watch_files=root["watchFiles"].texts(),
        settings=root,
        warnings=tuple(warnings),
    )


def read_retry(group: Setting) -> RetryOptions | None:
    """Read a retry policy, which host.json and function.json write alike.

    :return: None if there is none, or nothing in it.
    :raises ConfigurationError: it lacks what its strategy needs, or has a wrong value.
    """
    if not any(group):
        return None
    strategy = group["strategy"].choice(EXPONENTIAL_BACKOFF, (FIXED_DELAY, EXPONENTIAL_BACKOFF))
    count = group["maxRetryCount"].integer(REQUIRED, minimum=-1)
    if strategy == FIXED_DELAY:
        return RetryOptions(strategy, count, delay_interval=_interval(group["delayInterval"]))
    minimum, maximum = _interval(group["minimumInterval"]), _interval(group["maximumInterval"])
    if minimum > maximum:
        raise group["minimumInterval"].error(f"at most maximumInterval, which is {maximum}")
    return RetryOptions(strategy, count, minimum_interval=minimum, maximum_interval=maximum)


def _interval(setting: Setting) -> timedelta:
    return setting.timespan(REQUIRED, minimum=timedelta(0))


def _check_version(document: jsonc.Document, root: Setting) -> None:
    # The host looks for this one key itself, not through .NET configuration: its case counts, a number is no text, and
    # the environment is not asked. It takes a file that holds only {} as a new one.
    if "version" not in document.value and document.value:
        raise ConfigurationError(
            f'{FILE_NAME} must say which version it has, "version" is missing',
            file=root.file,
            line=root["version"].line,
            hint='Add "version": "2.0" to it (in lower case).',
        )
    if document.value.get("version", "2.0") != "2.0":
        hint = "It is the version of the form of this file, not of the Functions runtime."
        raise root["version"].error('"2.0" in quotes', hint=hint)


def _function_timeout(setting: Setting, warnings: list[str]) -> timedelta | None:
    timeout = setting.timespan(DEFAULT_FUNCTION_TIMEOUT)
    if timeout == _UNLIMITED:
        return None
    if timeout < timedelta(seconds=1):
        raise setting.error(f'{DURATION} of a second or more, or "-1" for no limit')
    if timeout.days and "." not in setting.text(""):
        warnings.append(setting.warning(f"{setting.name} means {timeout.days} days; hh:mm:ss has hours up to 23"))
    return timeout


def _http_options(group: Setting) -> HttpOptions:
    return HttpOptions(
        route_prefix=group["routePrefix"].text("api").strip("/"),
        max_outstanding_requests=_limit(group["maxOutstandingRequests"]),
        max_concurrent_requests=_limit(group["maxConcurrentRequests"]),
        custom_headers={header.key: header.text("") for header in group["customHeaders"]},
        hsts=group["hsts"].mapping(),
    )


def _limit(setting: Setting) -> int | None:
    limit = setting.integer(-1, minimum=-1)
    if limit == 0:
        raise setting.error("a whole number from 1, or -1 for no limit")
    return None if limit == -1 else limit


def _moved(root: Setting) -> list[str]:
    return [
        group.warning(f"{group.name} has no effect here, since version 2.0 it is {_MOVED[group.key.lower()]}")
        for group in root
        if group.key.lower() in _MOVED
    ]
