"""A worker process of the local host: it loads the app and runs its invocations until the host says stop or is gone."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import ProtocolError, WorkerExtError
from ..hooks.registry import Registry, extensions_enabled
from ..invocation import LogRecord, Outcome
from ..transports.frames import Frame, FrameConnection
from ..transports.local_socket import connect
from ..worker import propagation
from ..worker.logs import LogCollector, capture
from ..worker.worker import Worker
from .base import Runtime
from .protocol import COUNT, RESULT_HEAD, SECRET_VARIABLE, Kind, pack_error, pack_json, pack_lines
from .table import make_runtime

_logger = logging.getLogger("worker_ext")

GRACE = 1.0
"""Seconds that a worker has to end by itself once its host is gone."""


class WorkerProcess:
    """One worker process's side of the protocol.

    :param kind: the kind of app, a key of :data:`worker_ext.runtimes.table.RUNTIMES`.
    :param script_root: the app's folder.
    :param loop: the event loop, on which everything but sync functions runs.
    """

    def __init__(self, kind: str, script_root: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._kind = kind
        self._script_root = script_root
        self._loop = loop
        self._logs = LogCollector(loop, self._ship)
        self._connection: FrameConnection | None = None
        self._worker: Worker | None = None
        self._runtime: Runtime | None = None
        self._calls: dict[int, str] = {}
        self.ended = asyncio.Event()

    async def start(self, address: str, secret: str) -> None:
        """Connect to the host, load the app, and say what it is made of."""
        connection = await connect(address, lambda: FrameConnection(self._on_frame, self._on_lost))
        self._connection = connection
        connection.send(Kind.HELLO, 0, [secret.encode(), pack_json({"pid": os.getpid(), "python": sys.version})])
        capture(self._logs, os.environ)
        propagation.install()
        try:
            self._load(connection)
        except WorkerExtError as error:
            self._logs.flush_all()
            connection.send(Kind.BROKEN, 0, [pack_json(pack_error(error))])
            connection.close()
            self.ended.set()

    def _load(self, connection: FrameConnection) -> None:
        registry = Registry(enabled=extensions_enabled())
        self._worker = worker = Worker(self._loop, registry, self._logs)
        self._runtime = make_runtime(self._kind)
        app = self._runtime.load(self._script_root)
        for loaded in app.functions:
            worker.load(loaded.function)
        description = {
            "functions": [loaded.description for loaded in app.functions],
            "problems": [pack_error(problem) for problem in app.problems],
            "extensions": registry.extensions(),
        }
        self._logs.flush_all()
        connection.send(Kind.READY, 0, [pack_json(description)])

    def _on_frame(self, connection: FrameConnection, frame: Frame) -> None:
        if frame.kind == Kind.INVOKE:
            self._invoke(connection, frame)
        elif frame.kind == Kind.CANCEL:
            assert self._worker is not None
            self._worker.cancel(self._calls.get(frame.call, ""))
        elif frame.kind == Kind.STOP:
            self._loop.create_task(self._stop(connection))
        else:
            raise ProtocolError(f"the host sent a frame of the unknown kind {frame.kind}")

    def _invoke(self, connection: FrameConnection, frame: Frame) -> None:
        assert self._worker is not None
        assert self._runtime is not None
        identifier = frame.parts[1].decode()
        try:
            invocation = self._runtime.decode(frame.parts[0].decode(), identifier, frame.parts[2:])
        except Exception as error:  # what the trigger gave does not fit the parameter's type
            self._fail(connection, frame.call, error, [])
            return
        self._calls[frame.call] = identifier
        self._worker.invoke(invocation, partial(self._answer, connection, frame.call, invocation))

    def _answer(
        self, connection: FrameConnection, call: int, invocation: Any, outcome: Outcome, lines: list[LogRecord]
    ) -> None:
        del self._calls[call]
        assert self._runtime is not None
        if outcome.error is None:
            try:
                answer = self._runtime.encode(invocation, outcome.value)
                packed = pack_lines(lines)
                head = RESULT_HEAD.pack(len(packed) // 3, len(answer.outputs) // 3, answer.status)
                connection.send(Kind.RESULT, call, [head, *packed, *answer.outputs, *answer.parts])
            except Exception as error:  # what the function returned cannot be sent
                self._fail(connection, call, error, lines)
        else:
            self._fail(connection, call, outcome.error, lines)

    def _fail(self, connection: FrameConnection, call: int, error: BaseException, lines: list[LogRecord]) -> None:
        from .failure import describe  # only a failing function needs the traceback machinery

        packed = pack_lines(lines)
        connection.send(Kind.FAILURE, call, [COUNT.pack(len(packed) // 3), *packed, *describe(error)])

    def _ship(self, invocation_id: str, lines: list[LogRecord]) -> None:
        if self._connection is not None:
            self._connection.send(Kind.LOG, 0, [invocation_id.encode(), *pack_lines(lines)])

    async def _stop(self, connection: FrameConnection) -> None:
        assert self._worker is not None
        await self._worker.drain()
        self._logs.flush_all()
        connection.close()
        self.ended.set()

    def _on_lost(self, _connection: FrameConnection, _error: Exception | None) -> None:
        self._connection = None
        self.ended.set()


def main(address: str, kind: str, script_root: str) -> None:
    """Run a worker process; the host starts it through ``boot.py``.

    :param address: where the host listens.
    :param kind: the kind of app.
    :param script_root: the app's folder.
    """
    secret = os.environ.pop(SECRET_VARIABLE, "")
    faulthandler.enable(sys.__stderr__ or sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the host says when to stop
    _end_with_the_host()
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    process = WorkerProcess(kind, Path(script_root).resolve(), loop)
    starting = loop.create_task(process.start(address, secret))
    ending = loop.create_task(process.ended.wait())
    ending.add_done_callback(lambda _: loop.stop())
    while not ending.done():
        try:
            loop.run_forever()
        except SystemExit as error:  # of a task that user code started: it harms that task and no more
            _logger.error("a task of the app called sys.exit(%r); only the task has ended", error.code)
        if starting.done() and starting.exception() is not None:
            raise SystemExit(f"the worker cannot start: {starting.exception()}")
    _run_exit_handlers()


def _end_with_the_host() -> None:
    """End this process when the host is gone, even if user code blocks the event loop.

    The host holds the other end of our standard input and never writes to it. User code gets an empty one instead.
    """
    lifeline = os.dup(0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)

    def watch() -> None:
        os.read(lifeline, 1)
        threading.Event().wait(GRACE)
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _run_exit_handlers() -> None:
    """Run what the app registered with ``atexit``, and end: pool threads that still run functions are not joined."""
    import atexit

    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    atexit._run_exitfuncs()
    os._exit(0)

