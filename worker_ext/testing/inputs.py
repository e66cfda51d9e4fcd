"""Python values as inputs of functions, the way they would come from the host or as they are; and outputs as values."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ..runtimes.azure.bindings import Binding, BoundFunction
from .clock import Clock

Encoded = tuple[str, str, bytes]
"""Name, kind and data of an input."""


_NO_JSON = {"queueTrigger", "blobTrigger", "blob"}
"""Types of bindings that carry text and bytes only; the host makes text of JSON."""


def encode_inputs(bound: BoundFunction, values: Mapping[str, Any]) -> tuple[list[Encoded], dict[str, Any]]:
    """Sort values into those that the host could have sent, and those that the function is to be given as they are.

    Text, bytes, and whatever JSON can carry are sent. Other objects, such as an ``azure.functions.QueueMessage`` or a
    double of one, are given as they are.
    """
    sent: list[Encoded] = []
    given: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, str):
            sent.append((name, "string", value.encode()))
        elif isinstance(value, (bytes, bytearray, memoryview)):
            sent.append((name, "bytes", bytes(value)))
        else:
            try:
                if value is None:
                    raise TypeError
                kind = "string" if bound.inputs[name].binding.type in _NO_JSON else "json"
                sent.append((name, kind, json.dumps(value).encode()))
            except (TypeError, ValueError):
                given[name] = value
    return sent, given


def metadata_for(binding: Binding, clock: Clock) -> dict[str, Any]:
    """What the host would tell of a trigger besides its data."""
    now = clock.now()
    if binding.type == "queueTrigger":
        return {
            "Id": str(uuid.uuid4()),
            "DequeueCount": 1,
            "InsertionTime": _time(now),
            "ExpirationTime": _time(now + timedelta(days=7)),
            "NextVisibleTime": _time(now + timedelta(minutes=10)),
            "PopReceipt": "pop-receipt",
        }
    return {}


def unknown_inputs(bound: BoundFunction, values: Mapping[str, Any]) -> list[str]:
    """Names of values that are no inputs of the function."""
    return [name for name in values if name not in bound.inputs]


def decode_outputs(parts: Sequence[bytes]) -> dict[str, Any]:
    """What the host would be sent for outputs, by name: text, bytes, or what JSON stands for."""
    found: dict[str, Any] = {}
    for name, kind, data in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
        found[name.decode()] = data if kind == b"bytes" else json.loads(data) if kind == b"json" else data.decode()
    return found


def _time(moment: datetime) -> str:
    return moment.isoformat()
