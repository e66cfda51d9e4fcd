"""Invocations over FunctionRpc: from the host's request to the worker, and from its outcome to the host's answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from ....context import Context, RetryContext
from ....invocation import Invocation, LogRecord, Outcome
from ....worker.worker import Worker
from ...arrival import invoke_on_arrival
from ..bindings import RETURN, BoundFunction
from ..http_streaming import HttpExchange, StreamedRequest
from . import codec, http, shared_memory
from . import functions_rpc_pb2 as pb
from .app import FunctionsApp
from .logs import encode_logs
from .status import ended, failure

_SUCCESS = pb.StatusResult.Success


class Invocations:
    """Runs what the host asks for; each request gets one answer, whatever goes wrong.

    :param app: has the functions.
    :param worker: runs them.
    :param send: sends messages; any thread calls it.
    :ivar exchange: has the requests that come by HTTP, if any do.
    """

    def __init__(self, app: FunctionsApp, worker: Worker, send: Callable[[Iterable[bytes]], None]) -> None:
        self._app = app
        self._worker = worker
        self._send = send
        self.exchange: HttpExchange | None = None
        self._arriving: dict[str, asyncio.Future[None]] = {}  # invocations whose requests have not come yet
        self._outgoing = shared_memory.Outgoing()
        self._share = shared_memory.enabled() and shared_memory.available()

    def begin(self, message: pb.StreamingMessage) -> None:
        """Run the invocation that the host requests."""
        request = message.invocation_request
        request_id, invocation_id = message.request_id, request.invocation_id
        bound = self._app.loaded.get(request.function_id)
        if bound is None:
            error = LookupError(f"the worker has loaded no function with the id {request.function_id!r}")
            self._answer(request_id, invocation_id, partial(_fail, error=error))
            return
        try:
            invocation = _decode(bound, request)
        except Exception as error:  # what the trigger gave does not fit the parameter's type
            self._answer(request_id, invocation_id, partial(_fail, error=error))
            return
        done = partial(self._ended, request_id, bound, invocation)
        if bound.streams and self.exchange is not None:
            arrival = StreamedRequest(self.exchange, invocation, bound.trigger.binding.name)
            task = asyncio.ensure_future(invoke_on_arrival(self._worker, invocation, arrival, done))
            self._arriving[invocation_id] = task
            task.add_done_callback(lambda _: self._arriving.pop(invocation_id, None))
        else:
            self._worker.invoke(invocation, done)

    def cancel(self, message: pb.StreamingMessage) -> None:
        """Cancel an invocation, as far as that is possible; it is answered as it ends."""
        invocation_id = message.invocation_cancel.invocation_id
        arriving = self._arriving.get(invocation_id)
        if arriving is not None:
            asyncio.get_running_loop().call_soon(arriving.cancel)  # after its first step, which has been scheduled
        self._worker.cancel(invocation_id)

    def release(self, name: str) -> bool:
        """Let go of a file of shared memory that the host has read; whether it is one of an invocation of these."""
        return self._outgoing.release(name)

    async def drain(self) -> None:
        """Wait until nothing is running, and every answer has left."""
        while self._arriving:
            await asyncio.wait(self._arriving.values())
        await self._worker.drain()
        if self.exchange is not None:
            await self.exchange.drain()

    def unfinished(self) -> list[str]:
        """The names of the functions that are running, each as often as it is."""
        return self._worker.unfinished()

    def close(self) -> None:
        """Leave nothing behind."""
        self._outgoing.release_all()

    def _ended(
        self, request_id: str, bound: BoundFunction, invocation: Invocation, outcome: Outcome, lines: list[LogRecord]
    ) -> None:
        """Tell how an invocation ended; on the thread that ran it."""
        if outcome.error is None:
            fill = partial(self._encode, bound, invocation, outcome.value)
        else:
            fill = partial(_fail, error=outcome.error, cancelled=invocation.context.cancelled.is_set())
        # The lines go before the answer: afterwards the host has forgotten the invocation.
        self._answer(request_id, invocation.id, fill, encode_logs(request_id, invocation.id, lines))

    def _answer(
        self,
        request_id: str,
        invocation_id: str,
        fill: Callable[[pb.InvocationResponse], None],
        logs: Sequence[bytes] = (),
    ) -> None:
        message = pb.StreamingMessage(request_id=request_id)
        response = message.invocation_response
        try:
            fill(response)
            response.invocation_id = invocation_id
            encoded = message.SerializeToString()
        except BaseException as error:  # what the function returned cannot be sent
            if isinstance(error, UnicodeEncodeError):
                error = ValueError(f"the function gave text that cannot be sent: {error}")
            response.Clear()
            response.invocation_id = invocation_id
            _fail(response, error)
            encoded = message.SerializeToString()
        self._send((*logs, encoded))

    def _encode(
        self, bound: BoundFunction, invocation: Invocation, value: Any, response: pb.InvocationResponse
    ) -> None:
        response.result.status = _SUCCESS
        if bound.returns_http and not bound.streams:
            http.encode_response(value, response.return_value)
            if not bound.outputs:
                return
        for name, datum in bound.encode_outputs(invocation.arguments, value).items():
            if name == RETURN:
                codec.encode(datum, response.return_value)
            else:
                self._add_output(name, datum, response)
        if bound.http_output is not None:
            answer = invocation.arguments[bound.http_output].get()
            if answer is not None:
                http.encode_response(answer, response.output_data.add(name=bound.http_output).data)

    def _add_output(self, name: str, datum: Any, response: pb.InvocationResponse) -> None:
        output = response.output_data.add(name=name)
        if self._share and codec.is_shareable(datum):
            content, kind = codec.shared(datum)
            file = self._outgoing.write(content)
            if file is not None:
                place = output.rpc_shared_memory
                place.name, place.count, place.type = file, len(content), kind
                return
        codec.encode(datum, output.data)


def _decode(bound: BoundFunction, request: pb.InvocationRequest) -> Invocation:
    """Make an invocation of what the host sent.

    :raises Exception: whatever the conversion of the data raises.
    """
    trace = request.trace_context
    context = Context(
        bound.function.name,
        bound.function.directory,
        request.invocation_id,
        trace.trace_parent,
        trace.trace_state,
        _retry_context(request.retry_context) if request.HasField("retry_context") else None,
        trace.attributes,
    )
    arguments: dict[str, Any] = dict.fromkeys(bound.inputs)
    metadata = None
    for parameter in request.input_data:
        name = parameter.name
        declared = bound.inputs.get(name)
        if declared is None:
            raise TypeError(f"the host gives data for {name!r}, which is no input of {bound.function.name}")
        if declared.binding.type == "httpTrigger" and parameter.data.WhichOneof("data") == "http":
            arguments[name] = http.decode_request(parameter.data.http)
            continue
        if metadata is None:
            metadata = {key: codec.decode(value) for key, value in request.trigger_metadata.items()}
        arguments[name] = declared.decode(codec.decode_parameter(parameter), metadata)
    return bound.invocation(arguments, context)


def _retry_context(retry: pb.RetryContext) -> RetryContext:
    exception = retry.exception if retry.HasField("exception") else None
    return RetryContext(retry.retry_count, retry.max_retry_count, exception)


def _fail(response: pb.InvocationResponse, error: BaseException, cancelled: bool = False) -> None:
    response.result.CopyFrom(ended(error, cancelled=cancelled) if cancelled else failure(error))
