"""Microsoft's own runtime as a worker of a Functions host: a script for the Python of ``stock_runtime.py``.

The runtime is a library; the program that usually connects it to the host is not on PyPI. This one does no more than
that: messages go to the library's coroutines, and what those give, and log, goes to the host, each as its own message.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import queue
import sys
import threading
from argparse import ArgumentParser
from types import SimpleNamespace
from urllib.parse import urlsplit

sys.path = [
    entry for entry in sys.path if os.path.realpath(entry or ".") != os.path.dirname(os.path.realpath(__file__))
]

import grpc  # noqa: E402

from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as pb  # noqa: E402

HANDLERS = {
    "worker_init_request": "worker_init_response",
    "functions_metadata_request": "function_metadata_response",
    "function_load_request": "function_load_response",
    "invocation_request": "invocation_response",
    "function_environment_reload_request": "function_environment_reload_response",
}
LEVELS = {10: "Debug", 20: "Information", 30: "Warning", 40: "Error", 50: "Critical"}
current: contextvars.ContextVar[str] = contextvars.ContextVar("current", default="")


class Worker:
    """The library between two ends of a stream."""

    def __init__(self, uri: str, worker_id: str, request_id: str) -> None:
        self.address = urlsplit(uri).netloc
        self.request_id = request_id
        self.outbox: queue.SimpleQueue[pb.StreamingMessage | None] = queue.SimpleQueue()
        self.loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self.loop)
        self.outbox.put(pb.StreamingMessage(request_id=request_id, start_stream=pb.StartStream(worker_id=worker_id)))

    def read(self) -> None:
        """Read what the host sends, on a thread of its own."""
        unlimited = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        call = grpc.insecure_channel(self.address, options=unlimited).stream_stream(
            "/AzureFunctionsRpcMessages.FunctionRpc/EventStream",
            request_serializer=pb.StreamingMessage.SerializeToString,
            response_deserializer=pb.StreamingMessage.FromString,
        )(iter(self.outbox.get, None))
        for message in call:
            self.loop.call_soon_threadsafe(self.begin, message)

    def begin(self, message: pb.StreamingMessage) -> None:
        """Handle a message in a task."""
        self.loop.create_task(self.handle(message))

    async def handle(self, message: pb.StreamingMessage) -> None:
        """Have the library answer a message."""
        import azure_functions_runtime as runtime

        kind = message.WhichOneof("content")
        if kind == "worker_status_request":
            answer, response = "worker_status_response", pb.WorkerStatusResponse()
        elif kind in HANDLERS:
            if kind == "invocation_request":
                current.set(message.invocation_request.invocation_id)
            request = SimpleNamespace(request=message, properties={"host": "127.0.0.1", "protos": pb})
            handle = getattr(runtime, kind)
            answer, response = HANDLERS[kind], await handle(request)
        else:
            return
        self.outbox.put(pb.StreamingMessage(request_id=message.request_id, **{answer: response}))

    def log(self, record: logging.LogRecord, text: str) -> None:
        """Send a log record."""
        system = record.name.startswith("azure_functions_")
        category = pb.RpcLog.RpcLogCategory.Value("System" if system else "User")
        level = pb.RpcLog.Level.Value(LEVELS.get(record.levelno, "None"))
        log = pb.RpcLog(
            invocation_id=current.get(), category=record.name, level=level, message=text, log_category=category
        )
        self.outbox.put(pb.StreamingMessage(request_id=self.request_id, rpc_log=log))


class Handler(logging.Handler):
    """Gives log records to a worker."""

    def __init__(self, worker: Worker) -> None:
        super().__init__()
        self.worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        self.worker.log(record, self.format(record))


def main() -> None:
    """Run the worker until the host has gone."""
    parser = ArgumentParser()
    parser.add_argument("--functions-uri", required=True)
    parser.add_argument("--functions-worker-id", required=True)
    parser.add_argument("--functions-request-id", required=True)
    given, _ = parser.parse_known_args()
    sys.path.insert(0, os.getcwd())  # the app's folder
    import azure_functions_runtime as runtime

    runtime.start_threadpool_executor()
    worker = Worker(given.functions_uri, given.functions_worker_id, given.functions_request_id)
    logging.getLogger().addHandler(Handler(worker))
    logging.getLogger().setLevel(logging.INFO)

    def read() -> None:
        try:
            worker.read()
        finally:
            os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    worker.loop.run_forever()


if __name__ == "__main__":
    main()
