"""An editor's half of the Debug Adapter Protocol."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from .hosting import DEADLINE

Message = dict[str, Any]


class Editor:
    """A debugger that is attached, for as long as a ``with`` block runs.

    :param port: where to attach.
    :param breakpoints: files and the lines in them to stop at.
    """

    def __init__(self, port: int, breakpoints: dict[Path, list[int]] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self._stream = self._socket.makefile("rb")
        self._breakpoints = breakpoints or {}
        self._number = 0
        self.seen: list[Message] = []

    def __enter__(self) -> Editor:
        self.request("initialize", adapterID="debugpy", clientID="test", pathFormat="path")
        attach = self.send("attach", name="test", type="debugpy", justMyCode=True)
        self.event("initialized")
        for path, lines in self._breakpoints.items():
            self.request("setBreakpoints", source={"path": str(path)}, breakpoints=[{"line": line} for line in lines])
        self.request("configurationDone")
        self.answer(attach)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()
        self._socket.close()

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request; gives its number."""
        self._number += 1
        message = {"seq": self._number, "type": "request", "command": command, "arguments": arguments}
        body = json.dumps(message).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        return self._number

    def answer(self, number: int) -> Message:
        """The body of the answer to a request, which must have succeeded."""
        message = self.read(lambda one: one["type"] == "response" and one["request_seq"] == number)
        assert message["success"], message
        return message.get("body", {})

    def request(self, command: str, **arguments: Any) -> Message:
        """Send a request and wait for its answer."""
        return self.answer(self.send(command, **arguments))

    def event(self, name: str) -> Message:
        """Wait for an event; gives its body."""
        return self.read(lambda one: one.get("event") == name).get("body", {})

    def worker(self, *, other_than: int = 0) -> int:
        """Wait until the debugger of a worker has told of its process; gives the process id."""
        while True:
            told = [one["body"]["systemProcessId"] for one in self.seen if one.get("event") == "process"]
            if told and told[-1] != other_than:
                return int(told[-1])
            self.event("process")

    def read(self, wanted: Callable[[Message], bool]) -> Message:
        """Read until a message is the one wanted."""
        while True:
            length = 0
            while (line := self._stream.readline()) != b"\r\n":
                assert line, f"the debugger's connection has ended after {self.seen}"
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            message = json.loads(self._stream.read(length))
            self.seen.append(message)
            if wanted(message):
                return message
