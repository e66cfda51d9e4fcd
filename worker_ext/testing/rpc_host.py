"""A Functions host for tests: it starts a worker process and speaks FunctionRpc with it, as the real host does.

Any worker will do: ours, which is the default, or any other command line. It needs ``worker-ext[rpc]``::

    with RpcHost("path/to/app") as host:
        host.start()
        response = host.http("hello", url="http://localhost/api/hello?name=you")
        assert response.return_value.http.body.bytes == b"Hello, you"
        assert any("Hello" in line.message for line in host.logs)

:meth:`RpcHost.start` goes through what a host does before the first invocation; each of its steps is a method too.
Whatever has no method of its own is sent with :meth:`RpcHost.send`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any

import grpc

import worker_ext
from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as messages

__all__ = ["OUR_WORKER", "RpcHost", "WorkerGone", "messages", "typed"]

OUR_WORKER = (sys.executable, str(Path(worker_ext.__file__).with_name("boot.py")))
"""The command line of our worker, with the interpreter that runs the tests."""

_METHOD = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"
_NO_LIMITS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0))


class WorkerGone(Exception):
    """The worker has ended, or its stream has, before it answered."""


def typed(value: Any) -> messages.TypedData:
    """The ``TypedData`` of a Python value: text, bytes, a whole number, a float, or else what JSON can carry.

    A value that is ``TypedData`` already is given back.
    """
    import json

    if isinstance(value, messages.TypedData):
        return value
    if isinstance(value, str):
        return messages.TypedData(string=value)
    if isinstance(value, bytes):
        return messages.TypedData(bytes=value)
    if isinstance(value, int) and not isinstance(value, bool):
        return messages.TypedData(int=value)
    if isinstance(value, float):
        return messages.TypedData(double=value)
    return messages.TypedData(json=json.dumps(value))


class RpcHost:
    """A host and its one worker process, which ends with the ``with`` block.

    :param folder: the app's folder.
    :param command: the worker's command line, without what a host adds to it.
    :param environ: settings of the worker besides this process's environment.
    :param deadline: seconds that anything may take before it is given up.
    :param newer: whether to start the worker with the newer form of the command line, instead of the older one.
    :ivar process: the worker process.
    :ivar logs: the ``RpcLog`` messages so far.
    :ivar printed: the lines that the worker wrote to its own stdout and stderr.
    :ivar functions: function name → id, as far as the worker or the test has told.
    :ivar capabilities: what the worker said that it can do.
    """

    def __init__(
        self,
        folder: str | Path,
        command: Sequence[str] = OUR_WORKER,
        *,
        environ: Mapping[str, str] | None = None,
        deadline: float = 30.0,
        newer: bool = True,
    ) -> None:
        self.folder = Path(folder).resolve()
        self.logs: list[messages.RpcLog] = []
        self.printed: list[str] = []
        self.functions: dict[str, str] = {}
        self.capabilities: dict[str, str] = {}
        self.worker_id = str(uuid.uuid4())
        self.deadline = deadline
        self._command = tuple(command)
        self._environ = dict(environ or {})
        self._newer = newer
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
        self.port = self._server.add_insecure_port("127.0.0.1:0")
        self.process: subprocess.Popen[bytes]

    # Its life

    def __enter__(self) -> RpcHost:
        """Listen, and start the worker."""
        self._server.start()
        self.process = subprocess.Popen(
            [*self._command, *self._arguments()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
                "AzureWebJobsScriptRoot": str(self.folder),
                "FUNCTIONS_WORKER_RUNTIME": "python",
                **self._environ,
            },
        )
        self._printer = threading.Thread(target=self._read_output, daemon=True)
        self._printer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker, by force if need be."""
        self.process.kill()
        self.process.wait(self.deadline)
        self._reading.set()
        self._outbox.put(None)
        self._server.stop(None).wait(self.deadline)
        self._printer.join(self.deadline)
        if self.process.stdout is not None:
            self.process.stdout.close()

    def start(self) -> None:
        """Do all that a host does before the first invocation: initialise the worker, and load all its functions.

        :raises AssertionError: if the worker refuses something.
        """
        self.wait_for_stream()
        _check(self.initialise().result)
        response = self.metadata()
        _check(response.result)
        for function in response.function_metadata_results:
            if not function.status.exception.message:
                _check(self.load(function).result)

    # Messages

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
                raise TimeoutError(f"the worker has not done it within {self.deadline:g} s; it printed {self.printed}")
            if not condition():
                raise WorkerGone(f"the worker has ended; it printed {self.printed}")

    # What a host asks for

    def wait_for_stream(self) -> None:
        """Wait until the worker has connected and said who it is."""
        start = self.receive("start_stream").start_stream
        assert start.worker_id == self.worker_id, start

    def initialise(self, **capabilities: str) -> messages.WorkerInitResponse:
        """Initialise the worker.

        :param capabilities: the host's.
        """
        request = messages.WorkerInitRequest(
            host_version="4.1037.0",
            capabilities=capabilities,
            worker_directory=str(Path(self._command[-1]).parent),
            function_app_directory=str(self.folder),
        )
        response: messages.WorkerInitResponse = self.request("worker_init_response", worker_init_request=request)
        self.capabilities = dict(response.capabilities)
        return response

    def metadata(self) -> messages.FunctionMetadataResponse:
        """Ask the worker for its functions."""
        request = messages.FunctionsMetadataRequest(function_app_directory=str(self.folder))
        response: messages.FunctionMetadataResponse = self.request(
            "function_metadata_response", functions_metadata_request=request
        )
        self.functions.update((found.name, found.function_id) for found in response.function_metadata_results)
        return response

    def load(self, function: messages.RpcFunctionMetadata) -> messages.FunctionLoadResponse:
        """Have a function loaded, one that the worker has told of or one that the test describes."""
        function_id = function.function_id or self.functions.get(function.name) or str(uuid.uuid4())
        self.functions[function.name] = function_id
        request = messages.FunctionLoadRequest(function_id=function_id, metadata=function)
        response: messages.FunctionLoadResponse = self.request("function_load_response", function_load_request=request)
        return response

    def invoke(
        self,
        function: str,
        inputs: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        invocation_id: str = "",
        **more: Any,
    ) -> Future[messages.InvocationResponse]:
        """Request an invocation. The future has the answer, or :class:`WorkerGone`.

        :param function: its name, or the id that is sent.
        :param inputs: what each input binding gives (:func:`typed`), or an ``RpcSharedMemory``.
        :param metadata: what the trigger knows besides (:func:`typed`).
        :param invocation_id: made up if it is not given.
        :param more: further fields of ``InvocationRequest``.
        """
        request = messages.InvocationRequest(
            invocation_id=invocation_id or str(uuid.uuid4()),
            function_id=self.functions.get(function, function),
            trigger_metadata={name: typed(value) for name, value in (metadata or {}).items()},
            **more,
        )
        for name, value in (inputs or {}).items():
            if isinstance(value, messages.RpcSharedMemory):
                request.input_data.add(name=name, rpc_shared_memory=value)
            else:
                request.input_data.add(name=name, data=typed(value))
        return self.submit(request)

    def submit(self, request: messages.InvocationRequest) -> Future[messages.InvocationResponse]:
        """Send a request as it is; see :meth:`invoke`. The future is resolved on the thread that reads."""
        future: Future[messages.InvocationResponse] = Future()
        with self._changed:
            if self._gone:
                raise WorkerGone("the worker has ended")
            self._running[request.invocation_id] = future
        self.send(invocation_request=request)
        return future

    def call(self, function: str, inputs: Mapping[str, Any] | None = None, **more: Any) -> messages.InvocationResponse:
        """Invoke a function and wait for its answer; see :meth:`invoke`."""
        return self.invoke(function, inputs, **more).result(self.deadline)

    def http(
        self,
        function: str,
        *,
        url: str = "http://localhost/api/function",
        method: str = "GET",
        body: Any = b"",
        parameter: str = "req",
        invocation_id: str = "",
        **fields: Any,
    ) -> messages.InvocationResponse:
        """Invoke a function with an HTTP request and wait for its answer.

        :param parameter: the name of its trigger's parameter.
        :param fields: further fields of ``RpcHttp``, such as ``headers``, ``query`` or ``params``.
        """
        request = messages.RpcHttp(method=method, url=url, body=typed(body), **fields)
        data = messages.TypedData(http=request)
        return self.call(function, {parameter: data}, invocation_id=invocation_id)

    def cancel(self, invocation_id: str) -> None:
        """Ask for an invocation to be cancelled."""
        self.send(invocation_cancel=messages.InvocationCancel(invocation_id=invocation_id))

    def terminate(self, grace: float = 5.0) -> int:
        """Have the worker end, and give its exit status.

        :param grace: seconds that it is given for what is running.
        """
        request = messages.WorkerTerminate()
        request.grace_period.FromMilliseconds(int(grace * 1000))
        self.send(worker_terminate=request)
        return self.process.wait(grace + self.deadline)

    # Being a difficult host

    def stop_reading(self) -> None:
        """Read nothing more from the worker."""
        self._reading.clear()

    def go_on_reading(self) -> None:
        """Undo :meth:`stop_reading`."""
        self._reading.set()

    def lines(self, invocation_id: str | None = None) -> list[str]:
        """The text of the log lines so far: all, or those of one invocation."""
        return [log.message for log in list(self.logs) if invocation_id in (None, log.invocation_id)]

    def _arguments(self) -> list[str]:
        if self._newer:
            return [
                f"--functions-uri=http://127.0.0.1:{self.port}/",
                f"--functions-worker-id={self.worker_id}",
                "--functions-request-id=start",
                f"--functions-grpc-max-message-length={2**31 - 1}",
            ]
        words = ["--host", "127.0.0.1", "--port", str(self.port), "--workerId", self.worker_id]
        return [*words, "--requestId", "start", "--grpcMaxMessageLength", str(2**31 - 1)]

    def _serve(self, incoming: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        threading.Thread(target=self._read, args=(incoming,), daemon=True).start()
        yield from iter(self._outbox.get, None)

    def _read(self, incoming: Iterator[bytes]) -> None:
        with contextlib.suppress(grpc.RpcError):
            for data in incoming:
                self._reading.wait()
                self._take(messages.StreamingMessage.FromString(data))
        self._end()

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

    def _end(self) -> None:
        with self._changed:
            self._gone = True
            running, self._running = self._running, {}
            self._changed.notify_all()
        for future in running.values():
            future.set_exception(WorkerGone("the worker has ended before it answered"))
        self._outbox.put(None)

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.decode(errors="replace").rstrip("\r\n"))
        self._end()


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc, unused-ignore]
    """The one method that a host serves."""

    def __init__(self, serve: Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]) -> None:
        self._serve = serve

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        """Give the handler of a call (called by gRPC)."""
        return grpc.stream_stream_rpc_method_handler(self._serve) if details.method == _METHOD else None


def _check(result: messages.StatusResult) -> None:
    assert result.status == messages.StatusResult.Success, result.exception.message
