"""The worker process behind a Functions host: FunctionRpc, a stream of messages over gRPC."""
