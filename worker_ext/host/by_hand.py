"""Running a function by hand: what its trigger would have given is what somebody writes down.

The admin API takes it as ``{"input": …}``, a text or any other JSON value, as the Functions host does.
"""

from __future__ import annotations

import json
from typing import Any

from ..runtimes.azure.http_payload import encode_request
from ..runtimes.azure.trigger_payload import encode_trigger
from .functions import HostedFunction

REASON = "This function was programmatically called via the host APIs."

_AS_JSON = frozenset(("eventGridTrigger", "timerTrigger"))
"""The triggers whose functions take JSON only; all others take the text, which may be JSON."""

_SAMPLES: dict[str, Any] = {
    "blobTrigger": "the content of a blob",
    "eventGridTrigger": {
        "id": "1",
        "topic": "topic",
        "subject": "subject",
        "eventType": "type",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "1.0",
        "data": {},
    },
    "cosmosDBTrigger": [{"id": "1"}],
    "timerTrigger": {"IsPastDue": False},
    "warmupTrigger": None,
}


def sample_input(function: HostedFunction) -> str:
    """Something to begin with, for a form: a text, or JSON."""
    sample = _SAMPLES.get(function.trigger["type"], "a message")
    if str(function.trigger.get("cardinality", "")).lower() == "many":
        sample = [sample]
    return sample if isinstance(sample, str) else json.dumps(sample, indent=2)


def payload_by_hand(function: HostedFunction, value: Any, url: bytes) -> list[bytes]:
    """The payload of an invocation that is run by hand.

    :param value: the input: a text, or another JSON value.
    :param url: the function's own URL, if requests start it: it gets a POST request with the input as its body.
    """
    text = value if isinstance(value, str) else json.dumps(value)
    if function.is_http:
        kind = b"text/plain; charset=utf-8" if isinstance(value, str) else b"application/json"
        return encode_request("POST", url, None, text.encode(errors="replace"), [(b"content-type", kind)])
    trigger = function.trigger
    kind_of_data = "string"
    if trigger["type"] in _AS_JSON or isinstance(value, list):
        kind_of_data, text = "json", text if _is_json(text) else json.dumps(_SAMPLES.get(trigger["type"]))
    return encode_trigger([(trigger["name"], kind_of_data, text.encode(errors="replace"))])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
