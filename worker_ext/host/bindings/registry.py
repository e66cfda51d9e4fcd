"""Which bindings this host reads and writes. What implements one is imported when an app uses it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from ...errors import ConfigurationError
from .base import InputBinding, OutputBinding, Scope

INPUTS = {
    "blob": "worker_ext.host.bindings.blob:BlobInput",
    "table": "worker_ext.host.bindings.table:TableInput",
}
OUTPUTS = {
    "blob": "worker_ext.host.bindings.blob:BlobOutput",
    "queue": "worker_ext.host.bindings.queue:QueueOutput",
    "table": "worker_ext.host.bindings.table:TableOutput",
}


def make_input(binding: Mapping[str, Any], scope: Scope) -> InputBinding:
    """Make an input binding.

    :raises ConfigurationError: if this host has none of its type, or a property of it is wrong.
    """
    kind = str(binding["type"])
    if kind.lower() not in INPUTS:
        raise ConfigurationError(f"its input binding {binding['name']!r} ({kind}) is not available on this host")
    made: InputBinding = load(INPUTS[kind.lower()])(binding, scope)
    return made


def make_output(binding: Mapping[str, Any], scope: Scope) -> OutputBinding | None:
    """Make an output binding; ``None`` if this host has none of its type: what is written to it is reported.

    :raises ConfigurationError: if a property of it is wrong.
    """
    target = OUTPUTS.get(str(binding["type"]).lower())
    if target is None:
        return None
    made: OutputBinding = load(target)(binding, scope)
    return made


def load(target: str) -> Any:
    """What ``module:name`` stands for."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
