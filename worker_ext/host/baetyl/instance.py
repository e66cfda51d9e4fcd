"""A function instance as Baetyl starts it: the functions of one ``service.yml`` in this process, called over gRPC.

Source of the protocol: the function messages of Baetyl 0.1.6 and 1.0.0; see ``function.proto``.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from logging.handlers import TimedRotatingFileHandler
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import grpc

from ...errors import ConfigurationError, IndexingError
from ...hooks.switches import FLAG
from ...invocation import Invocation, LogRecord, Outcome
from ...runtimes.app_session import AppSession
from ...runtimes.baetyl import service
from ...runtimes.baetyl.message import Message
from ...runtimes.baetyl.runtime import BaetylRuntime
from ...runtimes.failure import message_of, user_traceback
from ...runtimes.protocol import unpack_error
from ...worker import propagation
from ...worker.executor import SIZE_SETTING
from .. import process
from ..invoker import new_invocation_id
from . import settings, settings_function
from .function_pb2 import FunctionMessage
from .settings_function import LoggerSettings, ServerSettings, ServiceSettings

SERVICES = ("baetyl.Function", "openedge.Function")
"""The names of the gRPC service, today's and that of earlier releases."""

_STOP_GRACE = 10.0
_LEVELS = {"debug": "DEBUG", "info": "INFO", "warn": "WARNING", "error": "ERROR", "fatal": "CRITICAL"}
_logger = logging.getLogger("worker_ext")


class Instance(AppSession):
    """The functions of a service, behind a gRPC server.

    :param settings: those of the service.
    :param address: where to listen, ``host:port``.
    """

    def __init__(self, settings: ServiceSettings, address: str) -> None:
        super().__init__(asyncio.get_running_loop())
        self._settings = settings
        self._address = address
        self._running: dict[str, object] = {}  # the ids that callers have given

    async def run(self) -> None:
        """Load the functions, and serve until a signal says to stop; running calls finish within their grace.

        :raises IndexingError: if no function can be run.
        :raises ConfigurationError: if the address cannot be listened on, or a certificate cannot be used.
        """
        description = await self._load("baetyl", Path.cwd())
        problems: Any = description["problems"]
        for problem in problems:
            _tell(unpack_error(problem))
        gc.freeze()  # what has been imported is there to stay
        server = self._server()
        stop = asyncio.Event()
        process.on_signals(self._loop, stop.set)
        server.start()
        _logger.info("listening on %s", self._address)
        await stop.wait()
        await asyncio.to_thread(server.stop(_STOP_GRACE).wait)
        assert self._worker is not None
        await self._worker.shutdown()

    def _ship(self, _invocation_id: str, lines: list[LogRecord]) -> None:
        for level, name, text in lines:
            logging.getLogger(name).log(level, "%s", text)

    def _server(self) -> grpc.Server:
        server_settings = self._settings.server
        server = grpc.server(
            ThreadPoolExecutor(server_settings.workers, thread_name_prefix="function"),
            options=[
                ("grpc.max_receive_message_length", server_settings.message_length),
                ("grpc.max_send_message_length", server_settings.message_length),
                ("grpc.so_reuseport", 0),  # two instances on one address are a mistake
            ],
            maximum_concurrent_rpcs=server_settings.concurrent,
        )
        handler = grpc.unary_unary_rpc_method_handler(
            self._call,
            request_deserializer=FunctionMessage.FromString,
            response_serializer=FunctionMessage.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            tuple(grpc.method_handlers_generic_handler(name, {"Call": handler}) for name in SERVICES)
        )
        credentials = _credentials(server_settings)
        try:
            if credentials is None:
                server.add_insecure_port(self._address)
            else:
                server.add_secure_port(self._address, credentials)
        except RuntimeError:
            raise ConfigurationError(
                f"cannot listen on {self._address}",
                hint="An address is HOST:PORT. Is another program listening there?",
            ) from None
        return server

    def _call(self, request: Any, call: grpc.ServicerContext) -> Any:
        """Answer one call; on a thread of the server's, which runs the function as well."""
        own = object()
        identifier = request.FunctionInvokeID
        if not identifier or self._running.setdefault(identifier, own) is not own:
            identifier = new_invocation_id()
        try:
            return self._answer(request, call, identifier)
        finally:
            if self._running.get(identifier) is own:
                del self._running[identifier]

    def _answer(self, request: Any, call: grpc.ServicerContext, identifier: str) -> Any:
        trace = {key: value for key, value in call.invocation_metadata() if key in ("traceparent", "tracestate")}
        message = Message(
            request.Payload,
            request.Topic,
            request.QOS,
            request.Timestamp,
            str(trace.get("traceparent", "")),
            str(trace.get("tracestate", "")),
        )
        try:
            assert isinstance(self._runtime, BaetylRuntime)
            invocation = self._runtime.invocation(request.FunctionName, identifier, message)
        except LookupError as error:
            call.abort(grpc.StatusCode.NOT_FOUND, str(error.args[0]))
        value, raised = self._invoke(invocation, call)
        if raised is not None:
            _logger.error("%s failed (%s)\n%s", request.FunctionName, identifier, user_traceback(raised).rstrip())
            call.abort(grpc.StatusCode.UNKNOWN, _failure("UserCodeInvoke", raised))
        try:
            request.Payload = self._runtime.encode(invocation, value).parts[0]
        except Exception as error:
            _logger.error("%s failed (%s): %s", request.FunctionName, identifier, error)
            call.abort(grpc.StatusCode.UNKNOWN, _failure("UserCodeReturn", error))
        return request

    def _invoke(self, invocation: Invocation, call: grpc.ServicerContext) -> Outcome:
        """Run an invocation: here, unless it is async or has a limit of time, which only another thread can watch."""
        worker, limit = self._worker, self._settings.server.timeout
        assert worker is not None
        ended: SimpleQueue[Outcome] = SimpleQueue()

        def done(outcome: Outcome, _lines: list[LogRecord]) -> None:
            ended.put(outcome)

        def cancel() -> None:
            self._loop.call_soon_threadsafe(worker.cancel, invocation.id)

        if invocation.function.is_async:
            call.add_callback(cancel)  # called when the caller has gone, and in vain when it has had its answer
        if limit is None:
            worker.run_here(invocation, done)
        else:
            self._loop.call_soon_threadsafe(worker.invoke, invocation, done)
        try:
            return ended.get(timeout=limit)
        except Empty:
            cancel()
            late = f"{invocation.function.name} did not finish within {limit:g} s"
            call.abort(grpc.StatusCode.DEADLINE_EXCEEDED, late)
            raise  # not reached: abort() raises


def serve(file: Path, environ: Mapping[str, str] = os.environ) -> int:
    """Run a function instance until it is told to stop, and return the exit status.

    :param file: its ``service.yml``; the paths in it are seen from the working directory.
    :raises WorkerExtError: if it cannot start.
    """
    if not file.is_file():
        raise ConfigurationError(
            "there is no such file, which would say what functions to run",
            file=file,
            hint="Name it with -c; the paths in it are seen from the working directory.",
        )
    found = settings_function.service_settings(settings.read(file, environ), lambda path: Path.cwd() / path)
    address = _variable(environ, "SERVICE_INSTANCE_ADDRESS") or found.server.address
    if not address:
        raise ConfigurationError(
            "no address to listen on",
            file=file,
            hint="Set server.address here, or the environment variable BAETYL_SERVICE_INSTANCE_ADDRESS.",
        )
    os.environ.setdefault(FLAG, "1")
    os.environ.setdefault("AzureWebJobsScriptRoot", str(Path.cwd()))
    os.environ[service.SETTING] = service.pack(found.functions)
    if found.server.workers is not None:
        os.environ[SIZE_SETTING] = str(found.server.workers)
    _log_to(found.logger, _variable(environ, "SERVICE_INSTANCE_NAME"))
    propagation.install()

    async def main() -> None:
        await Instance(found, address).run()

    process.run(main)
    return 0


def _variable(environ: Mapping[str, str], name: str) -> str:
    """An environment variable of Baetyl's, under today's name or that of earlier releases."""
    return environ.get(f"BAETYL_{name}") or environ.get(f"OPENEDGE_{name}") or ""


def _log_to(logger: LoggerSettings, name: str) -> None:
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if logger.path is not None:
        logger.path.parent.mkdir(parents=True, exist_ok=True)
        handler = TimedRotatingFileHandler(logger.path, when="D", interval=logger.days, backupCount=logger.backups)
    label = f" [{name}]" if name else ""
    handler.setFormatter(logging.Formatter(f"[%(asctime)s] %(levelname)s{label} [%(name)s] %(message)s"))
    root = logging.getLogger()
    root.setLevel(_LEVELS[logger.level])
    root.addHandler(handler)
    logging.captureWarnings(True)


def _credentials(server: ServerSettings) -> grpc.ServerCredentials | None:
    """What encrypts the connections; with a CA, clients must have a certificate that it signed."""
    if server.key is None or server.cert is None:
        if server.ca is not None:
            raise ConfigurationError("server.ca is set, but neither server.key nor server.cert", file=server.ca)
        return None
    try:
        key, cert, ca = (file.read_bytes() if file else None for file in (server.key, server.cert, server.ca))
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror or error}", file=error.filename) from None
    return grpc.ssl_server_credentials([(key, cert)], root_certificates=ca, require_client_auth=ca is not None)


def _failure(kind: str, error: BaseException) -> str:
    text = message_of(error)
    return f"[{kind}] {type(error).__name__}: {text}" if text else f"[{kind}] {type(error).__name__}"


def _tell(error: IndexingError) -> None:
    _logger.error("%s%s", error, f"\n{error.detail.rstrip()}" if error.detail else "")
