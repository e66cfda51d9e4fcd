"""Functions that no HTTP request triggers, run by hand: what somebody gives becomes what the trigger would give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol, runtime_checkable

from ..bindings.expressions import json_properties
from ..storage import Storage
from .base import Trigger, TriggerEvent

REASON = "This function was programmatically called via the host APIs."

_TEXT_ONLY = frozenset({"servicebustrigger"})
"""Triggers whose converter takes no JSON."""

_METADATA: Mapping[str, Mapping[str, Any]] = {
    "eventhubtrigger": {"SystemProperties": {}},
    "servicebustrigger": {"UserProperties": {}},
}
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
    trigger = str(binding["type"]).lower()
    document = _document(text)
    if str(binding.get("cardinality", "")).lower() == "many":
        several = document if isinstance(document, list) else [text if document is None else document]
        metadata = (
            {"SystemPropertiesArray": [_event_hub_facts()] * len(several)} if trigger == "eventhubtrigger" else {}
        )
        return TriggerEvent("json", json.dumps(several).encode(), REASON, metadata=metadata)
    data = text.encode()
    kind = "string" if document is None or trigger in _TEXT_ONLY else "json"
    return TriggerEvent(kind, data, REASON, metadata=_METADATA.get(trigger, {}), names=json_properties(data))


def _document(text: str) -> Any:
    """The object or list that a text is in JSON; ``None`` if it is something else."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict | list) else None


def _event_hub_facts() -> dict[str, Any]:
    """What the SDK wants to know of each of several events."""
    return {"PartitionKey": "", "SequenceNumber": 0, "Offset": 0, "EnqueuedTimeUtc": datetime.now(UTC).isoformat()}
