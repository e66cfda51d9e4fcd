"""Data of bindings: the host's ``TypedData`` to and from the ``Datum`` that the SDK's converters take and make."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from azure.functions.meta import Datum

from . import functions_rpc_pb2 as pb
from . import shared_memory

_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "string": lambda data: data.string,
    "json": lambda data: data.json,
    "bytes": lambda data: data.bytes,
    "int": lambda data: data.int,
    "double": lambda data: data.double,
    # The SDK takes collections as the messages that they are.
    "collection_bytes": lambda data: data.collection_bytes,
    "collection_string": lambda data: data.collection_string,
    "collection_double": lambda data: data.collection_double,
    "collection_sint64": lambda data: data.collection_sint64,
    "model_binding_data": lambda data: data.model_binding_data,
    "collection_model_binding_data": lambda data: data.collection_model_binding_data,
}


def decode(data: pb.TypedData) -> Datum | None:
    """What a binding carries; ``None`` if nothing.

    :raises TypeError: if it is HTTP, which only an HTTP trigger takes.
    """
    kind = data.WhichOneof("data")
    if kind is None:
        return None
    if kind == "stream":
        return Datum(data.stream, "bytes")
    if kind not in _PLAIN:
        raise TypeError(f"only an HTTP trigger takes data of the kind {kind}")
    return Datum(_PLAIN[kind](data), kind)


def decode_parameter(parameter: pb.ParameterBinding) -> Datum | None:
    """What a parameter carries, in the message or in shared memory.

    :raises OSError: if there is no such shared memory.
    :raises ValueError: if it does not hold what the message says.
    :raises TypeError: see :func:`decode`.
    """
    if parameter.WhichOneof("rpc_data") != "rpc_shared_memory":
        return decode(parameter.data)
    place = parameter.rpc_shared_memory
    content = shared_memory.read(place.name, place.offset, place.count)
    if place.type == pb.RpcDataType.Value("bytes"):
        return Datum(content, "bytes")
    if place.type in (pb.RpcDataType.Value("string"), pb.RpcDataType.Value("json")):
        return Datum(content.decode(), pb.RpcDataType.Name(place.type))
    raise ValueError(f"shared memory holds data of the kind {place.type}, which is neither text nor bytes")


def encode(datum: Datum, into: pb.TypedData) -> None:
    """Put what a converter made into a message; nothing if it is nothing.

    :raises TypeError: if a message has no place for it.
    :raises ValueError: if it is a number that does not fit into 64 bits.
    """
    kind, value = datum.type, datum.value
    if kind == "string":
        into.string = value
    elif kind == "bytes":
        into.bytes = bytes(value)
    elif kind == "json":
        into.json = value if isinstance(value, str) else json.dumps(value)
    elif kind in ("dict", "list"):
        into.json = json.dumps(value)
    elif kind in ("int", "bool"):
        into.int = int(value)
    elif kind == "double":
        into.double = value
    elif kind is not None:
        raise TypeError(f"the host takes no data of the kind {kind}")


def is_shareable(datum: Datum) -> bool:
    """Whether data is of a kind and a size that goes through shared memory; a character counts two bytes there."""
    if datum.type == "bytes":
        return shared_memory.SMALLEST <= len(datum.value) <= shared_memory.LARGEST
    return datum.type == "string" and shared_memory.SMALLEST <= 2 * len(datum.value) <= shared_memory.LARGEST


def shared(datum: Datum) -> tuple[bytes, int]:
    """What a file in shared memory holds of such data, and the host's number for its kind."""
    content = datum.value.encode() if datum.type == "string" else bytes(datum.value)
    return content, pb.RpcDataType.Value(datum.type)
