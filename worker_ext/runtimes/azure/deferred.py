"""Deferred bindings: parameters that take an SDK's client of what the binding names, instead of its content.

Packages such as ``azurefunctions-extensions-bindings-blob`` register their types with
``azurefunctions-extensions-base``. An app that uses one has imported that package by the time that it is loaded; for
all others nothing is imported here.
"""

from __future__ import annotations

import sys
from typing import Any

BASE = "azurefunctions.extensions.base"
"""The module that such packages register with."""

_CLIENTS = "serviceBusClient"  # what the converter of clients that need no binding is registered for


def registry() -> Any | None:
    """The registry of deferred converters, ``None`` if the app uses no package that has any."""
    base = sys.modules.get(BASE)
    return base.get_binding_registry() if base is not None else None


class DeferredConverter:
    """Converts what a host gives for a deferred binding.

    :param converter: the package's own converter.
    :param annotation: the type that the function annotates.
    """

    def __init__(self, converter: Any, annotation: Any) -> None:
        self._converter = converter
        self._annotation = annotation

    def check_input_type_annotation(self, _annotation: Any) -> bool:
        """Whether a parameter may be annotated so: :func:`converter_for` has asked already."""
        return True

    def decode(self, data: Any, *, trigger_metadata: Any) -> Any:
        """What the function gets: a client, or a list of them.

        :raises ValueError: if the host gives content, and not where it is.
        """
        return self._converter.decode(data, trigger_metadata=trigger_metadata, pytype=self._annotation)


def converter_for(binding_type: str, annotation: Any) -> DeferredConverter | None:
    """The converter of a parameter whose annotation is such a type; ``None`` for any other."""
    known = registry()
    if known is None or not known.check_supported_type(annotation):
        return None
    converter = known.get(binding_type)
    return DeferredConverter(converter, annotation) if converter is not None else None


def is_client(annotation: Any) -> bool:
    """Whether a parameter without a binding takes a client of the host's own services, as for settling messages."""
    known = registry()
    check = getattr(known, "check_supported_grpc_client_type", None)
    return bool(check is not None and check(annotation))


def make_client() -> Any:
    """The client that such a parameter takes."""
    known = registry()
    return known.get(_CLIENTS).get_client() if known is not None else None
