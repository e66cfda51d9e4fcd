"""A worker process's side of the protocol: it loads the app and runs what the host asks for."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ProtocolError, WorkerExtError
from ..invocation import Invocation, LogRecord, Outcome
from ..transports.frames import Frame, FrameConnection
from ..transports.local_socket import connect
from ..worker import propagation
from ..worker.logs import LogCollector, capture
from .failure import describe
from .loading import load
from .protocol import COUNT, RESULT_HEAD, Kind, pack_error, pack_json, pack_lines

if TYPE_CHECKING:
    from ..worker.worker import Worker
    from .base import Runtime


class Session:
    """The time between a worker's connecting to its host and the connection's end.

    :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :param script_root: the app's folder, absolute.
    :param loop: the event loop, on which everything but sync functions runs.
    :ivar logs: collects what this process logs and prints.
    :ivar finished: whether it was to end, with all said; otherwise the host has gone.
    """

    def __init__(self, kind: str, script_root: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._kind = kind
        self._script_root = script_root
        self._loop = loop
        self._connection: FrameConnection | None = None
        self._worker: Worker | None = None
        self._runtime: Runtime | None = None
        self._calls: dict[int, str] = {}  # call number → invocation id
        self._ended = asyncio.Event()
        self._abandoned = False
        self._stopping: asyncio.Task[None] | None = None  # kept, as the loop itself would forget it
        self.logs = LogCollector(loop, self._ship)
        self.finished = False

    async def run(self, address: str, secret: str) -> None:
        """Connect, load the app and say what it is made of, then run invocations until the connection ends.

        :param address: where the host listens.
        :param secret: what proves to it that this is its worker.
        :raises OSError: if the host cannot be reached.
        """
        self._connection = connection = await connect(address, lambda: FrameConnection(self._on_frame, self._on_lost))
        connection.send(Kind.HELLO, 0, [secret.encode(), pack_json({"pid": os.getpid(), "python": sys.version})])
        capture(self.logs, os.environ)
        propagation.install()
        try:
            self._worker, self._runtime, description = load(self._kind, self._script_root, self._loop, self.logs)
        except WorkerExtError as error:
            self._finish(connection, Kind.BROKEN, [pack_json(pack_error(error))])
        else:
            self.logs.flush_all()
            # What has been imported is there to stay: the collector need not look at it again and again.
            gc.freeze()
            connection.send(Kind.READY, 0, [pack_json(description)])
        await self._ended.wait()

    def abandon(self) -> None:
        """Leave the connection to the process that this one was forked from.

        User code may fork; what returns into this package in the child must neither answer nor read the host's frames.
        """
        self._abandoned = True
        self._loop.call_soon(os._exit, 1)  # if the child goes on to run its copy of the loop

    def _on_frame(self, connection: FrameConnection, frame: Frame) -> None:
        if frame.kind == Kind.INVOKE:
            self._invoke(connection, frame)
        elif frame.kind == Kind.CANCEL:
            assert self._worker is not None
            self._worker.cancel(self._calls.get(frame.call, ""))
        elif frame.kind == Kind.STOP:
            self._stopping = self._loop.create_task(self._stop(connection))
        else:
            raise ProtocolError(f"the host sent a frame of the unknown kind {frame.kind}")

    def _invoke(self, connection: FrameConnection, frame: Frame) -> None:
        assert self._worker is not None
        assert self._runtime is not None
        name, identifier, *payload = frame.parts
        invocation_id = identifier.decode()
        try:
            invocation = self._runtime.decode(name.decode(), invocation_id, payload)
        except Exception as error:  # what the trigger gave does not fit the parameter's type
            self._fail(connection, frame.call, error, [])
            return
        self._calls[frame.call] = invocation_id
        self._worker.invoke(invocation, partial(self._answer, connection, frame.call, invocation))

    def _answer(
        self, connection: FrameConnection, call: int, invocation: Invocation, outcome: Outcome, lines: list[LogRecord]
    ) -> None:
        """Send how an invocation ended; on the thread that ran it."""
        if self._abandoned:
            os._exit(1)
        del self._calls[call]
        if outcome.error is not None:
            self._fail(connection, call, outcome.error, lines)
            return
        assert self._runtime is not None
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

    async def _stop(self, connection: FrameConnection) -> None:
        assert self._worker is not None
        await self._worker.drain()
        self._finish(connection)

    def _finish(self, connection: FrameConnection, kind: Kind | None = None, parts: list[bytes] | None = None) -> None:
        """Send the last there is to say and close; the session ends when all of it has left."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):  # user code may have put anything there
                stream.flush()
        self.logs.flush_all()
        self.finished = True
        if kind is not None:
            connection.send(kind, 0, parts or [])
        connection.close()

    def _on_lost(self, _connection: FrameConnection, _error: Exception | None) -> None:
        self._connection = None
        self._ended.set()
