"""A worker that answers every invocation without running anything: the limit of what a worker over grpcio can do."""

from __future__ import annotations

import os
import queue
import sys
from urllib.parse import urlsplit

import grpc

from worker_ext.runtimes.azure.rpc import functions_rpc_pb2 as pb


def main() -> None:
    """Answer until the host has gone."""
    words = dict(word.split("=", 1) for word in sys.argv[1:] if "=" in word)
    outbox: queue.SimpleQueue[pb.StreamingMessage | None] = queue.SimpleQueue()
    call = grpc.insecure_channel(urlsplit(words["--functions-uri"]).netloc).stream_stream(
        "/AzureFunctionsRpcMessages.FunctionRpc/EventStream",
        request_serializer=pb.StreamingMessage.SerializeToString,
        response_deserializer=pb.StreamingMessage.FromString,
    )(iter(outbox.get, None))
    start = pb.StreamingMessage(start_stream=pb.StartStream(worker_id=words["--functions-worker-id"]))
    outbox.put(start)
    success = pb.StatusResult(status=pb.StatusResult.Success)
    for message in call:
        kind = message.WhichOneof("content")
        answer = pb.StreamingMessage(request_id=message.request_id)
        if kind == "invocation_request":
            response = answer.invocation_response
            response.invocation_id = message.invocation_request.invocation_id
            response.result.status = pb.StatusResult.Success
            response.return_value.string = "Hello"
        elif kind == "worker_init_request":
            answer.worker_init_response.result.CopyFrom(success)
        elif kind == "functions_metadata_request":
            answer.function_metadata_response.result.CopyFrom(success)
            for name in ("sync", "async"):
                answer.function_metadata_response.function_metadata_results.add(name=name, function_id=name)
        elif kind == "function_load_request":
            answer.function_load_response.function_id = message.function_load_request.function_id
            answer.function_load_response.result.CopyFrom(success)
        outbox.put(answer)


if __name__ == "__main__":
    try:
        main()
    finally:
        os._exit(0)
