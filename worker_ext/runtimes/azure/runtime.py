"""Azure Functions as the local host's worker runs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import azure.functions as sdk
from azure.functions.meta import Datum

from ...context import Context
from ...invocation import Invocation
from ..base import Answer, LoadedApp, LoadedFunction, Runtime
from ..protocol import unpack_json
from . import http, loader
from .bindings import RETURN, BoundFunction, Out

sdk.Context.register(Context)  # so that isinstance(context, azure.functions.Context) holds, as type checkers believe

_TEXT_KINDS = frozenset({"string", "json"})


class AzureRuntime(Runtime):
    """Loads a function app and converts between frames and what its functions take and give.

    Payload of an invocation whose trigger is not HTTP: the trigger's metadata as a JSON object, then name, kind and
    data of each input in turn.
    """

    def __init__(self) -> None:
        self._bound: dict[str, BoundFunction] = {}

    def load(self, script_root: Path) -> LoadedApp:
        """Load the app (see :meth:`Runtime.load`)."""
        functions, problems = loader.load(script_root)
        self._bound = {bound.function.name: bound for bound in functions}
        return LoadedApp([LoadedFunction(bound.function, _describe(bound)) for bound in functions], problems)

    def decode(self, name: str, invocation_id: str, payload: Sequence[bytes]) -> Invocation:
        """Make an invocation (see :meth:`Runtime.decode`)."""
        bound = self._bound[name]
        function = bound.function
        trace: tuple[str, str] = ("", "")
        if bound.trigger.binding.type == "httpTrigger":
            request = http.decode_request(payload)
            trace = (request.headers.get("traceparent", ""), request.headers.get("tracestate", ""))
            arguments: dict[str, Any] = {str(bound.trigger.binding.name): request}
        else:
            arguments = _decode_inputs(bound, payload)
        context = Context(function.name, function.directory, invocation_id, *trace)
        if bound.wants_context:
            arguments["context"] = context
        for output in bound.outputs:
            arguments[output] = Out()
        return Invocation(function, arguments, context)

    def encode(self, invocation: Invocation, value: Any) -> Answer:
        """Make an answer (see :meth:`Runtime.encode`)."""
        bound = self._bound[invocation.function.name]
        if bound.trigger.binding.type != "httpTrigger":
            return Answer(0, _encode_outputs(bound, invocation, value), [])
        response, returned = (value, None) if _returns_http(bound) else (None, value)
        outputs: list[bytes] = []
        if bound.outputs or returned is not None:
            outputs = _encode_outputs(bound, invocation, returned)
            for name, parameter in bound.outputs.items():
                if parameter.binding.type == "http":
                    response = invocation.arguments[name].get()
        status, parts = http.encode_response(response)
        return Answer(status, outputs, parts)


def _returns_http(bound: BoundFunction) -> bool:
    return bound.returns is not None and bound.returns.binding.type == "http"


def _describe(bound: BoundFunction) -> dict[str, Any]:
    return {
        "name": bound.function.name,
        "file": bound.function.file,
        "isAsync": bound.function.is_async,
        "bindings": [binding.raw for binding in bound.bindings],
        "retry": dict(bound.retry) if bound.retry else None,
        "disabled": bound.disabled,
    }


def _decode_inputs(bound: BoundFunction, payload: Sequence[bytes]) -> dict[str, Any]:
    metadata = {name: Datum(_json_text(value), "json") for name, value in unpack_json(payload[0]).items()}
    arguments: dict[str, Any] = dict.fromkeys(bound.inputs)
    for at in range(1, len(payload), 3):
        name, kind, data = payload[at].decode(), payload[at + 1].decode(), payload[at + 2]
        parameter = bound.inputs[name]
        datum = Datum(data.decode() if kind in _TEXT_KINDS else data, kind)
        arguments[name] = parameter.converter.decode(datum, trigger_metadata=metadata)
    return arguments


def _encode_outputs(bound: BoundFunction, invocation: Invocation, returned: Any) -> list[bytes]:
    data = bound.encode_outputs(invocation.arguments, besides="http")
    datum = bound.encode_return(returned)
    if datum is not None and datum.type is not None:
        data[RETURN] = datum
    parts: list[bytes] = []
    for name, datum in data.items():
        value = datum.value if isinstance(datum.value, (str, bytes)) else _json_text(datum.value)
        parts += (name.encode(), str(datum.type).encode(), value.encode() if isinstance(value, str) else value)
    return parts


def _json_text(value: Any) -> str:
    return json.dumps(value, default=str)
