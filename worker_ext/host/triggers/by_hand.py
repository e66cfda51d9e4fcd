"""Functions that no HTTP request triggers, run by hand: what somebody gives becomes what the trigger would give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from ..bindings.expressions import json_properties
from ..storage import Storage
from .base import Trigger, TriggerEvent

REASON = "This function was programmatically called via the host APIs."

_TEXT_ONLY = frozenset({"servicebustrigger"})
"""Triggers whose converter takes no JSON."""

_METADATA: Mapping[str, Mapping[str, Any]] = {"servicebustrigger": {"UserProperties": {}}}
"""What a converter will not do without."""


@runtime_checkable
class RunByHand(Protocol):
    """A trigger that makes more of what it is given than the text as it is."""

    async def by_hand(self, storage: Storage, text: str) -> TriggerEvent:
        """What would have happened.

        :raises InvocationError: if it cannot be made of ``text``.
        """


async def event_by_hand(
    binding: Mapping[str, Any], starter: Trigger | None, storage: Storage, text: str
) -> TriggerEvent:
    """What would have triggered the function.

    :param binding: its trigger.
    :param starter: what watches for its trigger, if something does.
    :param text: what somebody gives.
    :raises InvocationError: if nothing can be made of it.
    """
    if isinstance(starter, RunByHand):
        return await starter.by_hand(storage, text)
    data = text.encode()
    name = str(binding["type"]).lower()
    kind = "string" if name in _TEXT_ONLY or not _is_json(text) else "json"
    return TriggerEvent(kind, data, REASON, metadata=_METADATA.get(name, {}), names=json_properties(data))


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
