"""Retry policies: whether and when a failed invocation is tried again.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-error-pages#retry-policies
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .. import jsonc
from ..errors import ConfigurationError
from .settings import HostJson, RetryOptions
from .settings_host import FIXED_DELAY, read_retry
from .settings_tree import Setting

BY_TRIGGER = {
    "queuetrigger": "a message is tried again until its maxDequeueCount",
    "blobtrigger": "a blob is tried again up to five times",
    "servicebustrigger": "the queue itself delivers a message again",
}
"""Triggers that try again by themselves, and on which Azure ignores retry policies."""

_NAMES = {
    "strategy": "strategy",
    "max_retry_count": "maxRetryCount",
    "delay_interval": "delayInterval",
    "minimum_interval": "minimumInterval",
    "maximum_interval": "maximumInterval",
}
_STRATEGIES = {"fixed_delay": "fixedDelay", "exponential_backoff": "exponentialBackoff"}
_JITTER = 0.2


def retry_policy(function: Mapping[str, Any], trigger: str, host: HostJson | None) -> RetryOptions | None:
    """The retry policy of a function: its own, else that of host.json. HTTP functions have none.

    :param function: the function as its worker describes it.
    :param trigger: the type of its trigger.
    :raises ConfigurationError: if its own is wrong.
    """
    if trigger.lower() == "httptrigger" or trigger.lower() in BY_TRIGGER:
        return None
    declared = function.get("retry")
    if not declared:
        return host.retry if host is not None else None
    fields = {_NAMES.get(key, key): value for key, value in declared.items() if key != "setting_name"}
    strategy = fields.get("strategy")
    fields["strategy"] = _STRATEGIES.get(str(strategy), strategy)
    document = jsonc.parse(json.dumps({name: value for name, value in fields.items() if value is not None}))
    try:
        return read_retry(Setting.from_document(document))
    except ConfigurationError as error:
        raise ConfigurationError(f"its retry policy is wrong: {error.message}", hint=error.hint) from None


def delay(policy: RetryOptions, retries: int, chance: float) -> timedelta:
    """How long to wait before the next try.

    :param retries: how many times it has been tried again already.
    :param chance: 0 to 1; makes the delay of ``exponentialBackoff`` a little shorter or longer, so that what failed
        together is not tried together.
    """
    if policy.strategy == FIXED_DELAY:
        assert policy.delay_interval is not None
        return policy.delay_interval
    assert policy.minimum_interval is not None
    assert policy.maximum_interval is not None
    longest = policy.maximum_interval.total_seconds()
    base = policy.minimum_interval.total_seconds() * 2 ** min(retries, 60)
    return timedelta(seconds=min(base * (1 + _JITTER * (2 * chance - 1)), longest))
