"""Keeps a debugger's session while worker processes come and go.

With ``--language-worker "-m debugpy --listen 9091"`` the host itself listens there, and each worker's debugpy on a port
of its own. What the editor sends goes to the worker that runs. When that ends, for a reload or a crash, the session
goes on with the next: the editor's first requests and its breakpoints are sent again, and it hears nothing of the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Sequence
from typing import Any

from ..errors import ConfigurationError, ProtocolError
from ..transports.dap import encode_message, read_message
from .console import Console

_RETRY = 0.1
"""Seconds between two tries to reach a worker that is starting."""
_LOOPBACK = "127.0.0.1"
_LAST_ANSWER = 2.0
"""Seconds that a worker has to let the editor go."""
_START = ("initialize", "attach", "configurationDone")
"""The requests that a session starts with, in their order."""
_BREAKPOINTS = ("setBreakpoints", "setFunctionBreakpoints", "setExceptionBreakpoints")
_ENDS = ("terminated", "exited")
_REPLAYED = 1_000_000_000
"""Where the numbers of requests begin that are sent again: no editor comes so far."""
_LEAVE = _REPLAYED - 1

Message = dict[str, Any]


class Debugger:
    """The place where an editor attaches its debugger.

    :param arguments: those of the app's Python.
    :param at: where in them the address is that debugpy shall listen on.
    :param console: told what happens.
    """

    def __init__(self, arguments: Sequence[str], at: int, console: Console) -> None:
        self._arguments = list(arguments)
        self._at = at
        self._console = console
        host, _, port = arguments[at].rpartition(":")
        self._host, self._port = host.strip("[]") or _LOOPBACK, int(port)
        self._worker_port = 0  # until there is a worker
        self._server: asyncio.Server | None = None
        self._turn = asyncio.Lock()  # one editor at a time; the next waits until the worker has let the last one go
        self._session: _Session | None = None
        self._running: asyncio.Task[None] | None = None

    @classmethod
    def wanted_by(cls, arguments: Sequence[str], console: Console) -> Debugger | None:
        """The debugger that ``arguments`` start, if they do: ``-m debugpy … --listen [HOST:]PORT``."""
        words = list(arguments)
        for at, word in enumerate(words):
            if word == "--listen" and words[max(at - 1, 0)] != "-m" and "debugpy" in words[:at]:
                port = words[at + 1].rpartition(":")[2] if at + 1 < len(words) else ""
                return cls(words, at + 1, console) if port.isdecimal() and int(port) <= 65535 else None
        return None

    async def start(self) -> None:
        """Listen for the editor.

        :raises ConfigurationError: that is not possible.
        """
        try:
            self._server = await asyncio.start_server(self._accept, self._host, self._port)
        except OSError as error:
            taken = error.errno == errno.EADDRINUSE
            raise ConfigurationError(
                f"a debugger cannot attach at {self._host}:{self._port}: "
                + ("another program uses that port" if taken else str(error.strerror or error)),
                hint="Choose another port after --listen.",
            ) from None
        self._console.info(f"A debugger can attach at {self._host}:{self._server.sockets[0].getsockname()[1]}.")

    async def close(self) -> None:
        """End the session, and listen no more."""
        if self._server is not None:
            self._server.close()
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    def arguments_for_worker(self, arguments: Sequence[str]) -> Sequence[str]:
        """The arguments for the next worker, whose debugpy listens where only this host looks for it."""
        if list(arguments) != self._arguments:  # edited; the host listens where it did at its start
            return arguments
        with socket.socket() as probe:
            probe.bind((_LOOPBACK, 0))
            self._worker_port = probe.getsockname()[1]
        return [*self._arguments[: self._at], f"{_LOOPBACK}:{self._worker_port}", *self._arguments[self._at + 1 :]]

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect to the worker that runs, however long it takes until one does."""
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(_LOOPBACK, self._worker_port)
            await asyncio.sleep(_RETRY)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if self._session is not None and not self._session.editor_has_left:
                self._console.warning("A second debugger tried to attach; there can be one at a time.")
                return
            async with self._turn:
                self._session = _Session(self, reader, writer)
                self._running = asyncio.ensure_future(self._session.run())
                await self._running
        except (OSError, ProtocolError) as error:
            self._console.warning(f"The debugger's connection has ended: {error}")
        finally:
            writer.close()


class _Session:
    """One editor's session, with one worker after the other.

    :ivar editor_has_left: whether the editor has said so, or its connection has ended.
    """

    def __init__(self, debugger: Debugger, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._debugger = debugger
        self._reader = reader
        self._writer = writer
        self.editor_has_left = False
        self._worker: asyncio.StreamWriter | None = None
        self._is_served = False  # whether a worker's debugpy has the session, or is ending it
        self._start: dict[str, Message] = {}  # initialize, attach and configurationDone
        self._breakpoints: dict[tuple[str, str], Message] = {}  # the last of each kind, and for each file
        self._pending: dict[int, str] = {}
        self._paused: Message | None = None
        self._began = asyncio.Event()  # it is an editor, which has sent a request
        self._let_go = asyncio.Event()  # its last request has been answered

    async def run(self) -> None:
        """Go on until the editor leaves."""
        workers = asyncio.ensure_future(self._serve_workers())
        editor = asyncio.ensure_future(self._read_editor())
        try:
            await asyncio.wait([workers, editor], return_when=asyncio.FIRST_COMPLETED)
            if self._is_served:  # debugpy loses an editor that comes while it still ends the last session
                await asyncio.wait([workers], timeout=_LAST_ANSWER)
        finally:
            for task in (workers, editor):
                task.cancel()
            outcomes = await asyncio.gather(workers, editor, return_exceptions=True)
            if self._worker is not None:
                self._worker.close()
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _read_editor(self) -> None:
        """Pass on what the editor sends, and see to it that it takes leave: debugpy waits for that."""
        try:
            while "disconnect" not in self._pending.values():
                message = await read_message(self._reader)
                if message is None:
                    break
                self._pass_on(message)
        finally:
            self.editor_has_left = True
            if self._began.is_set():
                await self._take_leave()

    async def _take_leave(self) -> None:
        if "disconnect" not in self._pending.values() and not self._let_go.is_set():
            arguments = {"terminateDebuggee": False}
            self._pass_on({"seq": _LEAVE, "type": "request", "command": "disconnect", "arguments": arguments})
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._let_go.wait(), _LAST_ANSWER)

    def _pass_on(self, message: Message) -> None:
        seq, command = message.get("seq"), message.get("command", "")
        if not isinstance(seq, int) or not isinstance(command, str):
            raise ProtocolError("a message of the debugger has no number, or its command is no text")
        is_request = message.get("type") == "request"
        if is_request:
            self._remember(command, message)
            self._pending[seq] = command
            self._began.set()
        if self._worker is not None:
            _write(self._worker, message)
        elif is_request and command not in _START:  # those are sent as soon as there is a worker
            self._answer(seq, command)

    def _remember(self, command: str, message: Message) -> None:
        if command in _START:
            self._start[command] = message
        elif command in _BREAKPOINTS:
            arguments = message.get("arguments")
            source = arguments.get("source") if isinstance(arguments, dict) else None
            path = source.get("path") if isinstance(source, dict) else None
            self._breakpoints[command, str(path)] = message

    async def _serve_workers(self) -> None:
        await self._began.wait()
        while not self.editor_has_left:
            reader, writer = await self._debugger.connect()
            self._is_served = True
            try:
                with contextlib.suppress(OSError):
                    await self._serve_worker(reader, writer)
            finally:
                self._worker = None
                writer.close()
            self._worker_lost()
            await asyncio.sleep(_RETRY)
            self._is_served = False

    async def _serve_worker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._start.keys() >= set(_START):
            if not await self._replay(reader, writer):
                return
        elif all(message["seq"] in self._pending for message in self._start.values()):
            for request in self._start.values():
                _write(writer, request)
        else:
            raise ProtocolError("the worker process has ended while the debugger was attaching to it")
        self._worker = writer
        while (message := await read_message(reader)) is not None:
            if message.get("event") in _ENDS and "disconnect" not in self._pending.values():
                return
            if message.get("type") == "response":
                if message.get("request_seq", 0) >= _REPLAYED:
                    continue
                if self._pending.pop(message.get("request_seq", 0), None) == "disconnect":
                    self._let_go.set()
            elif message.get("event") == "stopped":
                self._paused = message
            elif message.get("event") == "continued":
                self._paused = None
            _write(self._writer, message)
            with contextlib.suppress(OSError):  # the editor has gone; the worker is still to be told
                await self._writer.drain()

    async def _replay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Tell a new worker what the editor has told the first one; whether that has worked."""
        first, attach, last = (self._start[name] for name in _START)
        for number, message in enumerate((first, attach, *self._breakpoints.values(), last), start=_REPLAYED):
            _write(writer, {**message, "seq": number})
            # What comes before is of the session's start; the editor has seen the same of the first worker.
            expected = {"initialize": "response", "attach": "initialized"}.get(message["command"])
            while expected is not None:
                found = await read_message(reader)
                if found is None or found.get("event") in _ENDS or found.get("success") is False:
                    return False
                if expected in (found.get("type"), found.get("event")):
                    break
        return True

    def _worker_lost(self) -> None:
        """Answer what nobody will answer any more; nothing is paused any more."""
        attached = self._start.keys() >= set(_START)
        for seq, command in list(self._pending.items()):
            if attached or command not in _START:
                self._answer(seq, command)
        if self._paused is not None:
            thread = self._paused.get("body", {}).get("threadId", 0)
            self._event("continued", {"threadId": thread, "allThreadsContinued": True})
            self._paused = None

    def _answer(self, seq: int, command: str) -> None:
        """Answer a request in place of a worker."""
        self._pending.pop(seq, None)
        if command == "disconnect":
            self._let_go.set()
        answer = {"seq": 0, "type": "response", "request_seq": seq, "command": command, "success": True}
        if command not in ("disconnect", *_START):
            answer |= {"success": False, "message": "the worker process is being replaced"}
        _write(self._writer, answer)

    def _event(self, name: str, body: Message) -> None:
        _write(self._writer, {"seq": 0, "type": "event", "event": name, "body": body})


def _write(writer: asyncio.StreamWriter, message: Message) -> None:
    """Send a message unless the other side has gone: uvloop refuses to write then, as asyncio's own loop does not."""
    if not writer.is_closing():
        writer.write(encode_message(message))
