"""What bindings carry and what functions take and give: the SDK's converters, and one for all other binding types."""

from __future__ import annotations

import inspect
import json
from typing import Any, TypeVar

import azure.functions as sdk
from azure.functions import meta

T = TypeVar("T")


class Out(sdk.Out[T]):  # type: ignore[misc, unused-ignore]
    """An output parameter: the function sets it, the worker reads it afterwards."""

    def __init__(self) -> None:
        self._value: T | None = None

    def set(self, val: T) -> None:
        """Set the value that is sent to the binding."""
        self._value = val

    def get(self) -> T | None:  # type: ignore[override, unused-ignore]
        """The value that was set last, ``None`` if there is none: then nothing is sent."""
        return self._value


_JSON_KINDS = {"dict": dict, "list": list, "int": int, "double": float}
"""The SDK's name for each type of value that becomes JSON, or a number where the host has numbers."""


class GenericConverter:
    """Converts for binding types that the SDK has no converter for: text and bytes as they are, JSON as text."""

    @classmethod
    def check_input_type_annotation(cls, pytype: type) -> bool:
        """Whether a parameter may be annotated so."""
        return issubclass(pytype, (str, bytes))

    @classmethod
    def check_output_type_annotation(cls, pytype: type) -> bool:
        """Whether an output may be annotated so."""
        return issubclass(pytype, (str, bytes, bytearray))

    @classmethod
    def decode(cls, data: meta.Datum | None, *, trigger_metadata: Any) -> Any:
        """What the function gets."""
        if data is None:
            return None
        return data.python_value if str(data.type).startswith("collection_") else data.value

    @classmethod
    def encode(cls, obj: Any, *, expected_type: Any) -> meta.Datum:
        """What the binding gets.

        :raises NotImplementedError: if ``obj`` is neither text, bytes, nor JSON.
        """
        if obj is None:
            return meta.Datum(None, None)
        if isinstance(obj, str):
            return meta.Datum(obj, "string")
        if isinstance(obj, (bytes, bytearray)):
            return meta.Datum(bytes(obj), "bytes")
        if isinstance(obj, bool):  # which Python takes for a number
            return meta.Datum(json.dumps(obj), "json")
        for kind, types in _JSON_KINDS.items():
            if isinstance(obj, types):
                return meta.Datum(obj, kind)
        raise NotImplementedError


def converter_of(binding_type: str) -> Any:
    """The converter of a binding type."""
    registry: Any = meta.get_binding_registry()  # type: ignore[no-untyped-call, unused-ignore]
    return registry.get(binding_type) or GenericConverter


def has_implicit_return(binding_type: str) -> bool:
    """Whether a function's return value goes to a binding of this type although none is called ``$return``."""
    converter = converter_of(binding_type)
    if converter is GenericConverter:
        return binding_type != "durableClient"
    return bool(getattr(converter, "has_implicit_output", bool)())


def accepts(check: Any, annotation: Any) -> bool:
    """Whether a converter's check of annotations accepts ``annotation``.

    :param check: ``check_input_type_annotation`` or ``check_output_type_annotation`` of a converter.
    """
    try:
        return bool(check(annotation))
    except TypeError:  # of issubclass(), for what is no class, such as Optional[str]
        return False


def refuse(value: Any, expected: str) -> TypeError:
    """The error of a function that returned, or put into an output, what cannot be sent.

    :param value: what it was.
    :param expected: what it should have been, as the rest of the sentence.
    """
    if inspect.iscoroutine(value):
        value.close()  # nobody will await it; Python need not warn of that as well
        return TypeError(
            "the function returned a coroutine that nobody awaits: it is async, behind a decorator that is not"
        )
    return TypeError(f"the function gave a value of type {type(value).__name__}, but {expected}")
