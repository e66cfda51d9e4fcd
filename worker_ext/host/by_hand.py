"""Running a function by hand: what its trigger would have given is what somebody writes down."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from ..runtimes.azure.http_payload import encode_request
from .bindings.expressions import json_properties
from .functions import HostedFunction
from .invoker import Invoker

_SAMPLES: dict[str, Any] = {
    "blobTrigger": "container/name.txt",
    "cosmosDBTrigger": [{"id": "1"}],
    "eventGridTrigger": {
        "id": "1",
        "topic": "topic",
        "subject": "subject",
        "eventType": "type",
        "eventTime": "2026-01-01T00:00:00Z",
        "dataVersion": "1.0",
        "data": {},
    },
    "timerTrigger": "",
    "warmupTrigger": "",
}


def sample_input(function: HostedFunction) -> str:
    """Something to begin with, for a form: a text, or JSON."""
    sample = _SAMPLES.get(function.trigger["type"], "a message")
    if str(function.trigger.get("cardinality", "")).lower() == "many":
        sample = [sample]
    return sample if isinstance(sample, str) else json.dumps(sample, indent=2)


class ByHand:
    """Runs functions by hand, whatever their triggers are.

    :param invoker: runs the invocations.
    """

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker
        self._tasks: set[asyncio.Task[Any]] = set()  # the loop itself would forget them

    def run(self, function: HostedFunction, value: Any, url: bytes) -> None:
        """Begin to run a function.

        :param value: what its trigger would give: a text, or another JSON value.
        :param url: the function's own URL, if requests start it: it gets a POST request with the value as its body.
        """
        text = value if isinstance(value, str) else json.dumps(value)
        if not function.is_http:
            task = asyncio.ensure_future(self._invoker.run_by_hand(function, text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        kind = b"text/plain; charset=utf-8" if isinstance(value, str) else b"application/json"
        body = text.encode(errors="replace")
        payload = encode_request("POST", url, None, body, [(b"content-type", kind)])
        names = json_properties(body) if function.is_bound else None
        self._invoker.invoke(function, payload, lambda call, outcome: None, names=names)
