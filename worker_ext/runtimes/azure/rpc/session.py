"""The worker's side of FunctionRpc: what the host asks for, and what it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError, Message

from .... import __version__
from ....errors import ProtocolError, WorkerExtError
from ....invocation import LogRecord
from ....transports.grpc_stream import GrpcStream, open_stream
from ....worker.logs import set_level
from ...app_path import make_importable
from ...serve import GRACE, end_without_host
from ...worker_session import WorkerSession, end_cut_off
from .. import http_streaming
from . import functions_rpc_pb2 as pb
from . import shared_memory
from .logs import encode_logs
from .options import SCRIPT_ROOT_SETTING, Options
from .status import failure, success

if TYPE_CHECKING:
    from .app import FunctionsApp
    from .invocations import Invocations

_logger = logging.getLogger("worker_ext")

_METHOD = "/AzureFunctionsRpcMessages.FunctionRpc/EventStream"

PLACEHOLDER_SETTING = "WEBSITE_PLACEHOLDER_MODE"
"""The setting that is 1 while the host keeps a worker ready for an app that it does not know yet."""

_TELLING = 0.5  # seconds between looks whether a host reads again

_LEAST_FOR_SHUTDOWN = 0.5
"""Seconds that the extensions' ``on_shutdown`` have although functions have used up what the host gives."""

_CAPABILITIES = (
    "RawHttpBodyBytes",
    "TypedDataCollection",
    "RpcHttpBodyOnly",
    "RpcHttpTriggerMetadataRemoved",
    "UseNullableValueDictionaryForHttp",
    "AcceptsListOfFunctionLoadRequests",
    "WorkerStatus",
    "HandlesInvocationCancelMessage",
    "HandlesWorkerTerminateMessage",
    "HandlesWorkerWarmupMessage",
)

_WARM = ("concurrent.futures.thread", "decimal", "email.parser", "http.cookies", "inspect", "json", "uuid", "zoneinfo")

Handler = Callable[[pb.StreamingMessage], Message | Awaitable[Message | None] | None]
"""Handles one kind of message; returns what it is answered, if it is."""


class RpcSession(WorkerSession):
    """The time between a worker's connecting to a Functions host and the stream's end.

    :param options: what the host started the worker with.
    :param loop: the event loop, on which everything but sync functions runs.
    """

    def __init__(self, options: Options, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._options = options
        self._stream: GrpcStream | None = None
        self._app: FunctionsApp | None = None
        self._invocations: Invocations | None = None
        self._former: list[Invocations] = []
        self._script_root = os.environ.get(SCRIPT_ROOT_SETTING) or str(Path.cwd())
        self._http_uri = ""  # where the requests come to that come by HTTP
        self._dropped: list[int] = []  # how many log lines each time
        self._telling = False  # whether that is about to be told
        self._starting: asyncio.Task[None] | None = None  # the extensions, before the first invocation
        self._tasks: set[asyncio.Task[None]] = set()  # kept, as the loop itself would forget them
        self._handlers: Mapping[str, tuple[Handler, str]] = {
            "invocation_cancel": (self._on_cancel, ""),
            "worker_init_request": (self._on_init, "worker_init_response"),
            "functions_metadata_request": (self._on_metadata, "function_metadata_response"),
            "function_load_request": (self._on_load, "function_load_response"),
            "function_load_request_collection": (self._on_load_all, "function_load_response_collection"),
            "function_environment_reload_request": (self._on_reload, "function_environment_reload_response"),
            "worker_status_request": (self._on_status, "worker_status_response"),
            "worker_warmup_request": (self._on_warmup, "worker_warmup_response"),
            "close_shared_memory_resources_request": (self._on_close, "close_shared_memory_resources_response"),
            "worker_terminate": (self._on_terminate, ""),
            "worker_heartbeat": (_ignore, ""),
            "file_change_event_request": (_ignore, ""),
        }

    async def run(self) -> None:
        """Connect and serve the host until it says stop, or is gone.

        :raises ProtocolError: if the host cannot be reached.
        """
        address = self._options.address
        try:
            stream = await open_stream(address, _METHOD, self._on_bytes, self._on_lost)
        except OSError as error:
            raise ProtocolError(f"the Functions host at {address} cannot be reached: {error}") from None
        self._stream = stream
        stream.watch(end_without_host)
        stream.on_cut_off = end_cut_off
        start = pb.StreamingMessage(request_id=self._options.request_id)
        start.start_stream.worker_id = self._options.worker_id
        stream.send((start.SerializeToString(),))
        self._capture()
        await self._wait_for_end()
        for invocations in self._all_invocations():
            invocations.close()

    def _ship(self, invocation_id: str, lines: list[LogRecord]) -> None:
        if self._stream is None:
            return
        if self._stream.is_full:  # lines can be done without
            self._dropped.append(len(lines))
            self._loop.call_soon_threadsafe(self._tell_dropped)
            return
        self._send(encode_logs(self._options.request_id, invocation_id, lines))

    def _tell_dropped(self) -> None:
        """Say that lines are missing, once the host reads again."""
        if self._telling or not self._dropped or self._stream is None:
            return
        if self._stream.is_full:
            self._telling = True
            self._loop.call_later(_TELLING, self._tell_dropped_later)
            return
        dropped, self._dropped = self._dropped, []
        text = f"{sum(dropped)} log lines were left out, because the host did not read"
        self._ship("", [LogRecord(logging.WARNING, "worker_ext", text)])

    def _tell_dropped_later(self) -> None:
        self._telling = False
        self._tell_dropped()

    def _send(self, messages: Iterable[bytes]) -> None:
        """Send messages to the host; any thread may call this."""
        if self._abandoned:
            os._exit(1)
        if self._stream is not None:
            self._stream.send(messages)

    def _on_bytes(self, data: bytes) -> None:
        try:
            message = pb.StreamingMessage.FromString(data)
        except DecodeError as error:
            _logger.error("the host sent %d bytes that are no message: %s", len(data), error)
            return
        kind = message.WhichOneof("content")
        if kind == "invocation_request":
            self._on_invocation(message)
            return
        found = self._handlers.get(kind)
        if found is None:
            _logger.error("the host sent a message of the kind %s, which a worker does not know", kind or "unknown")
            return
        handle, answer = found
        try:
            response = handle(message)
        except BaseException as error:  # of user code, too: what goes on from here must not be missed
            response = _failed(kind, answer, error)
        if inspect.isawaitable(response):
            task = self._loop.create_task(self._respond_later(message.request_id, kind, answer, response))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif response is not None:
            self._respond(message.request_id, answer, response)

    async def _respond_later(self, request_id: str, kind: str, answer: str, awaited: Awaitable[Message | None]) -> None:
        try:
            response = await awaited
        except BaseException as error:
            response = _failed(kind, answer, error)
        if response is not None:
            self._respond(request_id, answer, response)

    def _respond(self, request_id: str, kind: str, response: Message) -> None:
        message = pb.StreamingMessage(request_id=request_id or self._options.request_id)
        getattr(message, kind).CopyFrom(response)
        self._send((message.SerializeToString(),))

    def _on_lost(self, reason: str) -> None:
        if not self.finished and reason and sys.__stderr__ is not None:  # nobody reads our log any more
            print(f"the Functions host at {self._options.address} is gone: {reason}", file=sys.__stderr__)
        self._stream = None
        self._ended.set()

    # What the host asks for

    async def _on_init(self, message: pb.StreamingMessage) -> pb.WorkerInitResponse:
        self._script_root = message.worker_init_request.function_app_directory or self._script_root
        if os.environ.get(PLACEHOLDER_SETTING) != "1":
            make_importable(Path(self._script_root))
            await self._stream_http()
        return pb.WorkerInitResponse(
            worker_version=__version__,
            worker_metadata=_describe_worker(),
            capabilities=self._capabilities(),
            result=success(),
        )

    async def _stream_http(self) -> None:
        """Serve requests that come by HTTP, if the app wants that.

        To know it the app must be imported. That is not done at this early step for any other app: the host waits ten
        seconds for the answer, and longer for what it asks next.
        """
        if not http_streaming.is_installed():
            return
        try:
            self._the_app().index()
        except WorkerExtError:  # it is told when the host asks for the functions
            return
        if http_streaming.is_used() and self._invocations is not None:
            self._invocations.exchange = http_streaming.HttpExchange()
            self._http_uri = await self._invocations.exchange.serve(self._options.host)

    def _capabilities(self) -> dict[str, str]:
        capabilities = dict.fromkeys(_CAPABILITIES, "true")
        if shared_memory.available():
            capabilities["SharedMemoryDataTransfer"] = "true"
        if self._http_uri:
            capabilities |= {"HttpUri": self._http_uri, "RequiresRouteParameters": "true"}
        return capabilities

    def _on_metadata(self, message: pb.StreamingMessage) -> pb.FunctionMetadataResponse:
        self._script_root = message.functions_metadata_request.function_app_directory or self._script_root
        try:
            return self._the_app().describe()
        except WorkerExtError as error:
            return pb.FunctionMetadataResponse(result=failure(error))

    async def _on_load(self, message: pb.StreamingMessage) -> pb.FunctionLoadResponse:
        (response,) = await self._load((message.function_load_request,))
        return response

    async def _on_load_all(self, message: pb.StreamingMessage) -> pb.FunctionLoadResponseCollection:
        responses = await self._load(message.function_load_request_collection.function_load_requests)
        return pb.FunctionLoadResponseCollection(function_load_responses=responses)

    async def _load(self, requests: Sequence[pb.FunctionLoadRequest]) -> list[pb.FunctionLoadResponse]:
        try:
            app = self._the_app()
            responses = [app.load(request) for request in requests]
            assert self._worker is not None
            if self._starting is None:
                self._starting = self._loop.create_task(self._worker.startup())
            await asyncio.shield(self._starting)
        except BaseException as error:  # each is answered by its id, or the host waits for it
            return [pb.FunctionLoadResponse(function_id=each.function_id, result=failure(error)) for each in requests]
        # What has been imported is there to stay: the collector need not look at it again and again.
        gc.freeze()
        return responses

    def _the_app(self) -> FunctionsApp:
        """The app, which is made when it is first asked for: by then its folder and its settings are known.

        :raises IndexingError: if the app's Python lacks azure-functions.
        """
        if self._app is None:
            root = Path(self._script_root).resolve()
            make_importable(root)
            self._make_worker()
            assert self._worker is not None
            # They import azure-functions, of which the app may bring its own version.
            from .app import FunctionsApp
            from .invocations import Invocations

            self._app = FunctionsApp(root, self._worker, self.logs)
            self._invocations = Invocations(self._app, self._worker, self._send)
        return self._app

    def _on_invocation(self, message: pb.StreamingMessage) -> None:
        if self._invocations is not None:
            self._invocations.begin(message)
        else:
            request = message.invocation_request
            error = LookupError(f"the worker has loaded no function with the id {request.function_id!r}")
            response = pb.InvocationResponse(invocation_id=request.invocation_id, result=failure(error))
            self._respond(message.request_id, "invocation_response", response)

    def _on_cancel(self, message: pb.StreamingMessage) -> None:
        for invocations in self._all_invocations():
            invocations.cancel(message)

    def _all_invocations(self) -> list[Invocations]:
        """Those of the app, and those that were running when this became the worker of another."""
        return [*self._former, *([] if self._invocations is None else [self._invocations])]

    def _on_close(self, message: pb.StreamingMessage) -> pb.CloseSharedMemoryResourcesResponse:
        """Let go of what the host has read."""
        names, running = message.close_shared_memory_resources_request.map_names, self._all_invocations()
        return pb.CloseSharedMemoryResourcesResponse(
            close_map_results={name: any(invocations.release(name) for invocations in running) for name in names}
        )

    async def _on_reload(self, message: pb.StreamingMessage) -> pb.FunctionEnvironmentReloadResponse:
        """Become the worker of an app, after having been kept ready for any."""
        request = message.function_environment_reload_request
        os.environ.clear()
        os.environ.update(request.environment_variables)
        if hasattr(time, "tzset"):
            time.tzset()
        set_level(os.environ)
        self._script_root = request.function_app_directory or self._script_root
        sys.path_importer_cache.clear()
        with contextlib.suppress(FileNotFoundError):
            os.chdir(self._script_root)
        self._former = self._all_invocations()
        self._app = self._invocations = self._starting = None
        await self._stream_http()
        return pb.FunctionEnvironmentReloadResponse(
            worker_metadata=_describe_worker(), capabilities=self._capabilities(), result=success()
        )

    def _on_status(self, _message: pb.StreamingMessage) -> pb.WorkerStatusResponse:
        return pb.WorkerStatusResponse()

    def _on_warmup(self, _message: pb.StreamingMessage) -> pb.WorkerWarmupResponse:
        """Import what every app needs, and of which none brings its own version."""
        for module in _WARM:
            import_module(module)
        return pb.WorkerWarmupResponse(result=success())

    async def _on_terminate(self, message: pb.StreamingMessage) -> None:
        """Finish what is running, as long as the host waits for it, and end."""
        period = message.worker_terminate.grace_period  # it may be longer than a timedelta can be
        grace = max(period.seconds + period.nanos / 1e9, 0.0)
        try:
            until = self._loop.time() + grace
            await self._wind_up(grace)
            if self._worker is not None:
                await self._worker.shutdown(max(until - self._loop.time(), _LEAST_FOR_SHUTDOWN))
        finally:
            self._say_all()
            self.finished = True
            if self._stream is not None:
                self._stream.close()
            self._loop.call_later(GRACE, self._ended.set)  # for a host that does not end the stream either

    async def _wind_up(self, grace: float) -> None:
        """Wait for what is running, and tell what has not ended in time: the host learns only that its worker has."""
        running = self._all_invocations()
        if not running:
            return
        draining = asyncio.gather(*(invocations.drain() for invocations in running))
        try:
            await asyncio.wait_for(draining, grace)
        except TimeoutError:
            names = ", ".join(name for invocations in running for name in invocations.unfinished())
            _logger.warning("the host has this worker end after %g s, before these functions have: %s", grace, names)


def _failed(kind: str, answer: str, error: BaseException) -> Message | None:
    """What the host is answered when its message has brought up an error that nobody thought of."""
    _logger.error("the host's message %s cannot be dealt with", kind, exc_info=error)
    if not answer:
        return None
    response: Message = getattr(pb.StreamingMessage(), answer)
    if "result" in response.DESCRIPTOR.fields_by_name:
        response.result.CopyFrom(failure(error))
    return response


def _ignore(_message: pb.StreamingMessage) -> None:
    """It asks for nothing."""


def _machine() -> str:
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform  # it finds out more than is asked here, and takes a while for that

    return platform.machine()


def _describe_worker() -> pb.WorkerMetadata:
    return pb.WorkerMetadata(
        runtime_name="python",
        runtime_version=f"{sys.version_info.major}.{sys.version_info.minor}",
        worker_version=__version__,
        worker_bitness=_machine(),
    )
