"""The limit of what two processes can do here: each request crosses a Unix socket and comes back, and nothing is run.

``python -m benchmarks.servers.echo PORT``. The same HTTP parser and the same frames as the local host's, and none of
the rest: no routes, no functions, no hooks, no log lines, no supervision. What is left is what any host pays that
keeps functions in a process of their own.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys

from worker_ext.transports.frames import Frame, FrameConnection
from worker_ext.transports.http1 import Exchange, HttpServer

_HEADERS = [(b"content-type", b"text/plain; charset=utf-8")]


def _reflect(connection: FrameConnection, frame: Frame) -> None:
    """Send a frame back."""
    connection.send(frame.kind, frame.call, frame.parts)


def _stop(_connection: FrameConnection, _error: Exception | None) -> None:
    asyncio.get_running_loop().stop()


class Front:
    """Answers each request with its own target, as soon as that is back from the other process."""

    def __init__(self) -> None:
        self._waiting: dict[int, Exchange] = {}
        self._number = 0
        self.connection: FrameConnection

    def handle(self, exchange: Exchange) -> None:
        """Send a request across, headers and all."""
        self._number += 1
        self._waiting[self._number] = exchange
        parts = [exchange.method.encode(), exchange.target, exchange.body]
        for header in exchange.headers:
            parts += header
        self.connection.send(0, self._number, parts)

    def answer(self, _connection: FrameConnection, frame: Frame) -> None:
        """Answer the request whose frame has come back."""
        self._waiting.pop(frame.call).respond(200, _HEADERS, frame.parts[1])


def main(port: int) -> None:
    """Fork the echo, and serve in front of it."""
    near, far = socket.socketpair()
    if os.fork() == 0:
        near.close()
        asyncio.run(_echo(far))
        os._exit(0)
    far.close()
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(near, port))


async def _echo(end: socket.socket) -> None:
    ended = asyncio.Event()
    await asyncio.get_running_loop().create_connection(
        lambda: FrameConnection(_reflect, lambda *_: ended.set()), sock=end
    )
    await ended.wait()


async def _serve(end: socket.socket, port: int) -> None:
    front = Front()
    _, front.connection = await asyncio.get_running_loop().create_connection(
        lambda: FrameConnection(front.answer, _stop), sock=end
    )
    await HttpServer(front.handle).start("127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
