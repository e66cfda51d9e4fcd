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

import json
import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from types import TracebackType
from typing import Any

import worker_ext
from worker_ext import jsonc
from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as messages
from worker_ext.testing.rpc_stream import RpcStream, WorkerGone

__all__ = ["OUR_WORKER", "RpcHost", "WorkerGone", "messages", "typed"]

OUR_WORKER = (sys.executable, str(Path(worker_ext.__file__).with_name("boot.py")))
"""The command line of our worker, with the interpreter that runs the tests."""


def typed(value: Any) -> messages.TypedData:
    """The ``TypedData`` of a Python value: text, bytes, a whole number, a float, or else what JSON can carry.

    A value that is ``TypedData`` already is given back.
    """
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


class RpcHost(RpcStream):
    """A host and its one worker process, which ends with the ``with`` block.

    :param folder: the app's folder.
    :param command: the worker's command line, without what a host adds to it.
    :param environ: settings of the worker besides this process's environment.
    :param deadline: seconds that anything may take before it is given up.
    :param newer: whether to start the worker with the newer form of the command line, instead of the older one.
    :ivar process: the worker process.
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
        super().__init__(deadline)
        self.folder = Path(folder).resolve()
        self.printed: list[str] = []
        self.functions: dict[str, str] = {}
        self.capabilities: dict[str, str] = {}
        self.worker_id = str(uuid.uuid4())
        self._command = tuple(command)
        self._environ = dict(environ or {})
        self._newer = newer
        self.process: subprocess.Popen[bytes]

    # Its life

    def __enter__(self) -> RpcHost:
        """Listen, and start the worker."""
        self.listen()
        try:
            self.process = self._start_worker()
        except BaseException:  # there is no such command, or folder
            self.close()
            raise
        self._printer = threading.Thread(target=self._read_output, daemon=True)
        self._printer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the worker, by force if need be."""
        self.process.kill()
        self.process.wait(self.deadline)
        self.close()
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
        functions = list(response.function_metadata_results)
        if response.use_default_metadata_indexing:  # of v1 apps a host finds the functions by itself
            functions = [_declared(file) for file in sorted(self.folder.glob("*/function.json"))]
        for function in functions:
            if not function.status.exception.message:
                _check(self.load(function).result)

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

    def _start_worker(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
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

    def _read_output(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.printed.append(line.decode(errors="replace").rstrip("\r\n"))
        self.output_ended()

    def _last_words(self) -> str:
        return f"it printed {self.printed[-20:]}; {super()._last_words()}"


def _declared(file: Path) -> messages.RpcFunctionMetadata:
    """A v1 function as a host tells of it, by its ``function.json``."""
    declared = jsonc.load(file).value
    function = messages.RpcFunctionMetadata(
        name=file.parent.name,
        directory=str(file.parent),
        script_file=os.path.normpath(file.parent / declared.get("scriptFile", "__init__.py")),
        entry_point=declared.get("entryPoint", ""),
        language="python",
    )
    for binding in declared.get("bindings", ()):
        info = function.bindings[binding["name"]]
        info.type = binding["type"]
        info.direction = messages.BindingInfo.Direction.Value(binding.get("direction", "in"))
    return function


def _check(result: messages.StatusResult) -> None:
    assert result.status == messages.StatusResult.Success, result.exception.message
