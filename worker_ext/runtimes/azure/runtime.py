"""Azure Functions as a worker process runs it: its apps, and what its functions take and give."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from azure.functions.meta import Datum

from ...context import Context, RetryContext
from ...errors import IndexingError
from ...invocation import Invocation
from ..arrival import Arrival
from ..base import Answer, LoadedApp, LoadedFunction, Runtime
from ..protocol import unpack_json
from . import http, http_streaming, loader
from .bindings import BoundFunction
from .request import FrameRequest
from .trigger_payload import Retry


class AzureRuntime(Runtime):
    """Loads a function app and converts between frames and what its functions take and give."""

    def __init__(self) -> None:
        self._bound: dict[str, BoundFunction] = {}
        self._exchange: http_streaming.HttpExchange | None = None

    def load(self, script_root: Path) -> LoadedApp:
        """Load the app (see :meth:`Runtime.load`)."""
        return self._take(*loader.load(script_root))

    def load_app(self, app: Any, script_root: Path, script: Path) -> LoadedApp:
        """Load a v2 app that exists already.

        :param app: the function app.
        :param script_root: its folder, absolute.
        :param script: the file that it is in.
        :raises IndexingError: if no function of it can be run.
        """
        return self._take(*loader.load_app(app, script_root, script))

    def bound(self, name: str) -> BoundFunction:
        """The function of that name, with its bindings.

        :raises KeyError: if there is none.
        """
        return self._bound[name]

    def _take(self, functions: list[BoundFunction], problems: list[IndexingError]) -> LoadedApp:
        self._bound = {bound.function.name: bound for bound in functions}
        return LoadedApp([LoadedFunction(bound.function, _describe(bound)) for bound in functions], problems)

    def decode(self, name: str, invocation_id: str, payload: Sequence[bytes]) -> Invocation:
        """Make an invocation (see :meth:`Runtime.decode`)."""
        bound = self._bound[name]
        function = bound.function
        arguments: dict[str, Any]
        if bound.is_http:
            end = len(payload) - 3 * (len(bound.inputs) - 1)  # after which the other inputs follow
            request = FrameRequest(payload if end == len(payload) else payload[:end])
            trace_parent, trace_state = request.header(b"traceparent"), request.header(b"tracestate")
            context = Context(name, function.directory, invocation_id, trace_parent, trace_state)
            arguments = _decode_inputs(bound, {}, payload, end) if end < len(payload) else {}
            arguments[bound.trigger.binding.name] = request
        else:
            envelope = unpack_json(payload[0])
            retry = _retry_context(envelope["retry"])
            context = Context(name, function.directory, invocation_id, retry_context=retry)
            arguments = _decode_inputs(bound, envelope["metadata"], payload, 1)
        return bound.invocation(arguments, context)

    async def open(self) -> dict[str, Any]:
        """Serve requests that come by HTTP, if the app wants that (see :meth:`Runtime.open`)."""
        if not http_streaming.is_used():
            return {}
        self._exchange = http_streaming.HttpExchange()
        return {"streams": await self._exchange.serve("127.0.0.1")}

    async def drain(self) -> None:
        """Wait for answers that are still being streamed (see :meth:`Runtime.drain`)."""
        if self._exchange is not None:
            await self._exchange.drain()

    def arrival(self, invocation: Invocation) -> Arrival | None:
        """The request of a function that streams (see :meth:`Runtime.arrival`)."""
        if self._exchange is None:
            return None
        bound = self._bound[invocation.function.name]
        if not bound.streams:
            return None
        return http_streaming.StreamedRequest(self._exchange, invocation, bound.trigger.binding.name)

    def encode(self, invocation: Invocation, value: Any) -> Answer:
        """Make an answer (see :meth:`Runtime.encode`)."""
        bound = self._bound[invocation.function.name]
        outputs: list[bytes] = []
        if bound.outputs or not bound.returns_http:
            for name, datum in bound.encode_outputs(invocation.arguments, value).items():
                outputs += (name.encode(), *_kind_and_data(datum))
        if not bound.is_http:
            return Answer(0, outputs, [])
        if not bound.returns_http:
            value = invocation.arguments[bound.http_output].get() if bound.http_output is not None else None
        if bound.streams:  # the answer itself goes by HTTP
            return Answer(int(getattr(value, "status_code", 200)), outputs, [])
        status, parts = http.encode_response(value)
        return Answer(status, outputs, parts)


def _describe(bound: BoundFunction) -> dict[str, Any]:
    return {
        "name": bound.function.name,
        "file": bound.function.file,
        "isAsync": bound.function.is_async,
        "bindings": [binding.raw for binding in bound.bindings],
        "retry": dict(bound.retry) if bound.retry else None,
        "disabled": bound.disabled,
        "streams": bound.streams,
    }


def _retry_context(fields: Sequence[Any] | None) -> RetryContext | None:
    if fields is None:
        return None
    retry = Retry(*fields)
    return RetryContext(retry.retries, retry.limit, retry.error or None)


def _decode_inputs(
    bound: BoundFunction, metadata: Mapping[str, Any], payload: Sequence[bytes], start: int
) -> dict[str, Any]:
    known = {name: Datum(json.dumps(value), "json") for name, value in metadata.items()}
    arguments: dict[str, Any] = dict.fromkeys(bound.inputs)
    for at in range(start, len(payload), 3):
        name, kind, data = payload[at].decode(), payload[at + 1].decode(), payload[at + 2]
        if kind:
            datum = Datum(data if kind == "bytes" else data.decode(), kind)
            arguments[name] = bound.inputs[name].decode(datum, known)
    return arguments


def _kind_and_data(datum: Datum) -> tuple[bytes, bytes]:
    """What a converter made, as one of the three kinds: the SDK has one for each type of number, list, dict, ..."""
    if isinstance(datum.value, str):
        return (b"json" if datum.type == "json" else b"string"), datum.value.encode()
    if isinstance(datum.value, bytes):
        return b"bytes", datum.value
    return b"json", json.dumps(datum.value).encode()
