"""A worker process's side of the protocol: it loads the app and runs what the host asks for."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ProtocolError, WorkerExtError
from ..invocation import Invocation, LogRecord, Outcome
from ..transports.frames import Frame, FrameConnection
from ..transports.local_socket import connect
from .app_session import AppSession
from .arrival import invoke_on_arrival
from .failure import describe
from .protocol import COUNT, RESULT_HEAD, Kind, pack_error, pack_json, pack_lines, pack_timeline
from .worker_session import end_cut_off

if TYPE_CHECKING:
    from ..worker.worker import Done


class Session(AppSession):
    """The time between a worker's connecting to its host and the connection's end.

    :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :param script_root: the app's folder, absolute.
    :param loop: the event loop, on which everything but sync functions runs.
    :param address: where the host listens.
    :param secret: what proves to it that this is its worker.
    """

    def __init__(
        self, kind: str, script_root: Path, loop: asyncio.AbstractEventLoop, address: str, secret: str
    ) -> None:
        super().__init__(loop)
        self._kind = kind
        self._script_root = script_root
        self._address = address
        self._secret = secret
        self._connection: FrameConnection | None = None
        self._calls: dict[int, str] = {}  # call number → invocation id
        self._recording = False
        self._arriving: dict[int, asyncio.Task[None]] = {}  # call number → what waits for the rest of the invocation
        self._stopping: asyncio.Task[None] | None = None  # kept, as the loop itself would forget it
        self._checking: asyncio.Task[None] | None = None  # likewise

    async def run(self) -> None:
        """Connect, load the app and say what it is made of, then run invocations until the connection ends.

        :raises OSError: if the host cannot be reached.
        """
        connection = await connect(self._address, lambda: FrameConnection(self._on_frame, self._on_lost))
        self._connection = connection
        connection.on_cut_off = end_cut_off
        hello = {"pid": os.getpid(), "python": sys.version}
        connection.send(Kind.HELLO, 0, [self._secret.encode(), pack_json(hello)])
        self._capture()
        try:
            description = await self._load(self._kind, self._script_root)
        except WorkerExtError as error:
            self._finish(connection, Kind.BROKEN, [pack_json(pack_error(error))])
        else:
            self.logs.flush_all()
            # What has been imported is there to stay: the collector need not look at it again and again.
            gc.freeze()
            connection.send(Kind.READY, 0, [pack_json(description)])
            if self._runtime.one_at_a_time and sys.platform != "win32":
                self._read_serially(connection)
        await self._wait_for_end()

    def _read_serially(self, connection: FrameConnection) -> None:
        """Have a thread of its own receive calls and run them; it leaves to the loop what is not a call."""
        from .serial_reader import SerialReader

        def on_frame(connection: FrameConnection, frame: Frame) -> None:
            assert self._worker is not None
            if frame.kind == Kind.INVOKE:
                self._invoke(connection, frame, self._worker.run_here)
            else:
                self._loop.call_soon_threadsafe(self._on_frame, connection, frame)

        SerialReader(connection, on_frame).start()

    def _on_frame(self, connection: FrameConnection, frame: Frame) -> None:
        if frame.kind == Kind.INVOKE:
            assert self._worker is not None
            self._invoke(connection, frame, self._worker.invoke)
        elif frame.kind == Kind.CANCEL:
            self._cancel(frame.call)
        elif frame.kind == Kind.RECORD:
            assert self._worker is not None
            self._recording = self._worker.timelines = True
        elif frame.kind == Kind.HEALTH:
            self._checking = self._loop.create_task(self._check(connection))
        elif frame.kind == Kind.STOP:
            self._stopping = self._loop.create_task(self._stop(connection))
        else:
            raise ProtocolError(f"the host sent a frame of the unknown kind {frame.kind}")

    def _invoke(self, connection: FrameConnection, frame: Frame, invoke: Callable[[Invocation, Done], None]) -> None:
        name, identifier, *payload = frame.parts
        invocation_id = identifier.decode()
        try:
            invocation = self._runtime.decode(name.decode(), invocation_id, payload)
        except Exception as error:  # what the trigger gave does not fit the parameter's type
            self._fail(connection, frame.call, error, [])
            return
        self._calls[frame.call] = invocation_id
        done = partial(self._answer, connection, frame.call, invocation)
        arrival = self._runtime.arrival(invocation)
        if arrival is None:
            invoke(invocation, done)
            return
        assert self._worker is not None
        task = self._loop.create_task(invoke_on_arrival(self._worker, invocation, arrival, done))
        self._arriving[frame.call] = task
        task.add_done_callback(lambda _: self._arriving.pop(frame.call))

    def _cancel(self, call: int) -> None:
        assert self._worker is not None
        arriving = self._arriving.get(call)
        if arriving is not None:
            self._loop.call_soon(arriving.cancel)  # after its first step, which has been scheduled
        self._worker.cancel(self._calls.get(call, ""))

    def _answer(
        self, connection: FrameConnection, call: int, invocation: Invocation, outcome: Outcome, lines: list[LogRecord]
    ) -> None:
        """Send how an invocation ended; on the thread that ran it."""
        if self._abandoned:
            os._exit(1)
        del self._calls[call]
        if self._recording and invocation.timeline:
            connection.send(Kind.TIMELINE, call, [pack_timeline(invocation.timeline)])
        if outcome.error is not None:
            self._fail(connection, call, outcome.error, lines)
            return
        try:
            answer = self._runtime.encode(invocation, outcome.value)
            packed = pack_lines(lines)
            head = RESULT_HEAD.pack(len(packed) // 3, len(answer.outputs) // 3, answer.status)
            connection.send(Kind.RESULT, call, [head, *packed, *answer.outputs, *answer.parts])
        except BaseException as error:  # what the function returned cannot be sent
            self._fail(connection, call, error, lines)

    def _fail(self, connection: FrameConnection, call: int, error: BaseException, lines: list[LogRecord]) -> None:
        packed = pack_lines(lines)
        connection.send(Kind.FAILURE, call, [COUNT.pack(len(packed) // 3), *packed, *describe(error)])

    def _ship(self, invocation_id: str, lines: list[LogRecord]) -> None:
        if self._connection is not None:
            self._connection.send(Kind.LOG, 0, [invocation_id.encode(), *pack_lines(lines)])

    async def _check(self, connection: FrameConnection) -> None:
        assert self._worker is not None
        readiness = await self._worker.ready()
        connection.send(Kind.HEALTH, 0, [pack_json(readiness.reasons)])

    async def _stop(self, connection: FrameConnection) -> None:
        assert self._worker is not None
        await self._worker.drain()
        await self._runtime.drain()
        await self._worker.shutdown()
        self._finish(connection)

    def _finish(self, connection: FrameConnection, kind: Kind | None = None, parts: list[bytes] | None = None) -> None:
        """Send the last there is to say and close; the session ends when all of it has left."""
        self._say_all()
        self.finished = True
        if kind is not None:
            connection.send(kind, 0, parts or [])
        connection.close()

    def _on_lost(self, _connection: FrameConnection, _error: Exception | None) -> None:
        self._connection = None
        self._ended.set()
