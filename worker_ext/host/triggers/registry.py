"""Which triggers this host watches for. What implements one is imported when an app uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..bindings.base import Scope
from ..bindings.registry import load
from .base import Trigger

TRIGGERS = {
    "blobtrigger": "worker_ext.host.triggers.blob:BlobTrigger",
    "queuetrigger": "worker_ext.host.triggers.queue:QueueTrigger",
    "timertrigger": "worker_ext.host.triggers.timer:TimerTrigger",
}


def make_trigger(binding: Mapping[str, Any], scope: Scope) -> Trigger | None:
    """Make what watches for a trigger; ``None`` if nothing does: HTTP, and what can only be run by hand.

    :raises ConfigurationError: if a property of it is wrong.
    """
    target = TRIGGERS.get(str(binding["type"]).lower())
    if target is None:
        return None
    made: Trigger = load(target)(binding, scope)
    return made
