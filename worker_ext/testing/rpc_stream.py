"""The host's end of FunctionRpc's stream, for tests: a gRPC server with one call, and what has come through it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as messages
from worker_ext.transports.grpc_stream import ServerStream

T = TypeVar("T")

_METHOD = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"

_ON_THE_WAY = 5.0
"""Seconds that what a worker has sent may need to be read once its process has ended."""


class WorkerGone(Exception):
    """The worker has ended, or its stream has, before it answered."""


class RpcStream:
    """A server for one worker.

    :param deadline: seconds that anything may take before it is given up.
    :ivar port: where it listens, on 127.0.0.1.
    :ivar logs: the ``RpcLog`` messages so far.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.logs: list[messages.RpcLog] = []
        self._answers: defaultdict[str, deque[messages.StreamingMessage]] = defaultdict(deque)
        self._running: dict[str, Future[messages.InvocationResponse]] = {}
        self._changed = threading.Condition()
        self._gone = False
        self._numbers = itertools.count(1)
        self._stream: ServerStream | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="rpc-host", daemon=True)
        self._server: asyncio.AbstractServer | None = None
        self.port = 0

    def listen(self) -> None:
        """Take the worker's call."""
        self._thread.start()
        self._server = self._on_loop(self._loop.create_server(self._accept, "127.0.0.1", 0))
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """End the call and the server, all at once as a host does that is killed."""
        if self._server is not None:
            self._loop.call_soon_threadsafe(self._server.close)
            self._on_loop(self._hang_up())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(self.deadline)
            self._loop.close()
            self._server = None
        self.end()

    def send(self, *, request_id: str = "", **content: Any) -> str:
        """Send a message and give its request id.

        :param request_id: made up if it is not given.
        :param content: the one field of ``StreamingMessage`` that it carries, such as ``worker_status_request``.
        """
        request_id = request_id or f"request-{next(self._numbers)}"
        self.send_bytes(messages.StreamingMessage(request_id=request_id, **content).SerializeToString())
        return request_id

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be a message.

        :raises WorkerGone: if there is no worker to send them to.
        """
        if self._stream is None:
            raise WorkerGone(f"there is no worker; {self._last_words()}")
        self._stream.send((data,))

    def receive(self, kind: str) -> messages.StreamingMessage:
        """Wait for the next message of a kind.

        :raises WorkerGone: if the worker ends before.
        """
        self.wait_until(lambda: bool(self._answers[kind]))
        return self._answers[kind].popleft()

    def request(self, answer: str, **content: Any) -> Any:
        """Send a message, and wait for its answer.

        :param answer: the field of ``StreamingMessage`` that carries the answer.
        :param content: see :meth:`send`.
        """
        self.send(**content)
        return getattr(self.receive(answer), answer)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait until what the worker sends has made ``condition()`` true.

        :raises WorkerGone: if the worker ends before.
        :raises TimeoutError: if it takes longer than :attr:`deadline`.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition() or self._gone, self.deadline):
                raise TimeoutError(f"the worker has not done it within {self.deadline:g} s; {self._last_words()}")
            if not condition():
                raise WorkerGone(f"the worker has ended; {self._last_words()}")

    def submit(self, request: messages.InvocationRequest) -> Future[messages.InvocationResponse]:
        """Send a request as it is; see :meth:`invoke`. The future is resolved on the thread that reads."""
        future: Future[messages.InvocationResponse] = Future()
        with self._changed:
            if self._gone:
                raise WorkerGone("the worker has ended")
            self._running[request.invocation_id] = future
        self.send(invocation_request=request)
        return future

    def stop_reading(self) -> None:
        """Read nothing more from the worker."""
        self._on_loop(self._set_reading(False))

    def go_on_reading(self) -> None:
        """Undo :meth:`stop_reading`."""
        self._on_loop(self._set_reading(True))

    def lines(self, invocation_id: str | None = None) -> list[str]:
        """The text of the log lines so far: all, or those of one invocation."""
        return [log.message for log in list(self.logs) if invocation_id in (None, log.invocation_id)]

    def _last_words(self) -> str:
        """What more there is to say about a worker that does not answer."""
        return f"its last log lines are {self.lines()[-5:]}"

    def _accept(self) -> ServerStream:
        return ServerStream(_METHOD, self._on_call, self._on_bytes, self._on_lost)

    def _on_call(self, stream: ServerStream) -> None:
        self._stream = stream

    def _on_bytes(self, data: bytes) -> None:
        self._take(messages.StreamingMessage.FromString(data))

    def _on_lost(self, _reason: str) -> None:
        self.end()

    def _on_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(self.deadline)

    async def _set_reading(self, reading: bool) -> None:
        if self._stream is not None:
            self._stream.set_reading(reading)

    async def _hang_up(self) -> None:
        if self._stream is not None:
            self._stream.abort()

    def _take(self, message: messages.StreamingMessage) -> None:
        kind = message.WhichOneof("content")
        if kind == "invocation_response":
            response = message.invocation_response
            future = self._running.pop(response.invocation_id, None)
            if future is not None:
                future.set_result(response)
                return
        with self._changed:
            if kind == "rpc_log":
                self.logs.append(message.rpc_log)
            else:
                self._answers[kind].append(message)
            self._changed.notify_all()

    def output_ended(self) -> None:
        """The worker has closed its output, so it has ended or will; what it sent before that may not have come yet."""
        with self._changed:
            if self._stream is not None:
                self._changed.wait_for(lambda: self._gone, _ON_THE_WAY)
        self.end()

    def end(self) -> None:
        """Fail what is still waiting for the worker, which has ended."""
        with self._changed:
            self._gone = True
            running, self._running = self._running, {}
            self._changed.notify_all()
        for future in running.values():
            future.set_exception(WorkerGone("the worker has ended before it answered"))
