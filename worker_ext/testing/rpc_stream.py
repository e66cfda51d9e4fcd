"""The host's end of FunctionRpc's stream, for tests: a gRPC server with one call, and what has come through it."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

import grpc

from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as messages

_METHOD = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"
_NO_LIMITS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))


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
        self._outbox: SimpleQueue[bytes | None] = SimpleQueue()
        self._answers: defaultdict[str, deque[messages.StreamingMessage]] = defaultdict(deque)
        self._running: dict[str, Future[messages.InvocationResponse]] = {}
        self._changed = threading.Condition()
        self._reading = threading.Event()
        self._reading.set()
        self._gone = False
        self._numbers = itertools.count(1)
        self._server = grpc.server(ThreadPoolExecutor(2, "rpc-host"), options=_NO_LIMITS)
        self._server.add_generic_rpc_handlers((_Service(self._serve),))
        self.port: int = self._server.add_insecure_port("127.0.0.1:0")

    def listen(self) -> None:
        """Take the worker's call."""
        self._server.start()

    def close(self) -> None:
        """End the call and the server."""
        self._reading.set()
        self._outbox.put(None)
        self._server.stop(None).wait(self.deadline)

    def send(self, *, request_id: str = "", **content: Any) -> str:
        """Send a message and give its request id.

        :param request_id: made up if it is not given.
        :param content: the one field of ``StreamingMessage`` that it carries, such as ``worker_status_request``.
        """
        request_id = request_id or f"request-{next(self._numbers)}"
        self.send_bytes(messages.StreamingMessage(request_id=request_id, **content).SerializeToString())
        return request_id

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that need not be a message."""
        self._outbox.put(data)

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
        self._reading.clear()

    def go_on_reading(self) -> None:
        """Undo :meth:`stop_reading`."""
        self._reading.set()

    def lines(self, invocation_id: str | None = None) -> list[str]:
        """The text of the log lines so far: all, or those of one invocation."""
        return [log.message for log in list(self.logs) if invocation_id in (None, log.invocation_id)]

    def _last_words(self) -> str:
        """What more there is to say about a worker that does not answer."""
        return f"its last log lines are {self.lines()[-5:]}"

    def _serve(self, incoming: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        threading.Thread(target=self._read, args=(incoming,), daemon=True).start()
        yield from iter(self._outbox.get, None)

    def _read(self, incoming: Iterator[bytes]) -> None:
        with contextlib.suppress(grpc.RpcError):
            for data in incoming:
                self._reading.wait()
                self._take(messages.StreamingMessage.FromString(data))
        self.end()

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

    def end(self) -> None:
        """Fail what is still waiting for the worker, which has ended."""
        with self._changed:
            self._gone = True
            running, self._running = self._running, {}
            self._changed.notify_all()
        for future in running.values():
            future.set_exception(WorkerGone("the worker has ended before it answered"))
        self._outbox.put(None)


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """The one method that a host serves."""

    def __init__(self, serve: Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]) -> None:
        self._serve = serve

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Give the handler of a call (called by gRPC)."""
        return grpc.stream_stream_rpc_method_handler(self._serve) if details.method == _METHOD else None
