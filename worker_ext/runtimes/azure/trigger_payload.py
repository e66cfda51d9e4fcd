"""All triggers but HTTP, the host's half: how what a trigger gives is laid out in an invocation.

Payload of an invocation: a JSON object (``metadata``: what the trigger knows besides its data; ``retry``: the number of
this retry, the most there can be, and what the last try raised), then name, kind and data of each input in turn, the
trigger's among them. The kinds are ``string``, ``bytes`` and ``json``; an empty one stands for nothing. The inputs of
an HTTP function come in the same form at the end of its payload (:mod:`.http_payload`). Nothing here imports the SDK,
as the host must start fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ..protocol import pack_json


class Retry(NamedTuple):
    """Where an invocation stands in its function's retry policy.

    :ivar retries: how many times it has been retried; 0 at the first try.
    :ivar limit: how many retries the policy allows; -1 for any number.
    :ivar error: what the last try raised, empty at the first.
    """

    retries: int
    limit: int
    error: str = ""


def encode_trigger(
    inputs: Iterable[tuple[str, str, bytes]], *, metadata: Mapping[str, Any] | None = None, retry: Retry | None = None
) -> list[bytes]:
    """What the worker is sent.

    :param inputs: name, kind and data of each input, the trigger's among them.
    :param metadata: what the trigger knows besides its data, as JSON can carry it.
    :param retry: where the invocation stands, if its function has a retry policy.
    """
    return [pack_json({"metadata": dict(metadata or {}), "retry": retry}), *encode_inputs(inputs)]


def encode_inputs(inputs: Iterable[tuple[str, str, bytes]]) -> list[bytes]:
    """Lay out inputs.

    :param inputs: name, kind and data of each.
    """
    parts = []
    for name, kind, data in inputs:
        parts += [name.encode(), kind.encode(), data]
    return parts
