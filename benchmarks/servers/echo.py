"""The limit of what two processes can do: HTTP in front, a Unix socket, and an echo that runs nothing.

``python -m benchmarks.servers.echo PORT``. No routes, no log, no limits; a request is its target, an answer a body.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys

_HEAD = struct.Struct("<II")  # bytes of the text, number of the call
_ANSWER = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n\r\n%b"


class Messages(asyncio.Protocol):
    """Cuts a stream into (call, text) and writes such."""

    def __init__(self) -> None:
        self._rest = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        data, at, out = self._rest + data, 0, []
        while len(data) - at >= _HEAD.size:
            length, call = _HEAD.unpack_from(data, at)
            if len(data) - at - _HEAD.size < length:
                break
            at += _HEAD.size
            out.append(self.message(call, data[at : at + length]))
            at += length
        self._rest = data[at:]
        if any(out):
            self.transport.write(b"".join(out))

    def connection_lost(self, exc: Exception | None) -> None:
        asyncio.get_running_loop().stop()

    def message(self, call: int, text: bytes) -> bytes:
        """Answer one message."""
        return _HEAD.pack(len(text), call) + text


class Backend(Messages):
    """The front's end of the socket: hands answers to their clients."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: dict[int, asyncio.Transport] = {}
        self.number = 0

    def message(self, call: int, text: bytes) -> bytes:
        self.calls.pop(call).write(_ANSWER % (len(text), text))
        return b""


class Client(asyncio.Protocol):
    """One HTTP connection."""

    def __init__(self, backend: Backend) -> None:
        import httptools

        self._backend = backend
        self._parser = httptools.HttpRequestParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        backend = self._backend
        backend.number += 1
        backend.calls[backend.number] = self._transport  # type: ignore[assignment]
        backend.transport.write(_HEAD.pack(len(self._url), backend.number) + self._url)


def main(port: int) -> None:
    """Fork the echo, and serve in front of it."""
    front, back = socket.socketpair()
    if os.fork() == 0:
        front.close()
        loop = asyncio.new_event_loop()
        loop.run_until_complete(loop.create_connection(Messages, sock=back))
        loop.run_forever()
        os._exit(0)
    back.close()
    import uvloop

    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    _, backend = loop.run_until_complete(loop.create_connection(Backend, sock=front))
    loop.run_until_complete(loop.create_server(lambda: Client(backend), "127.0.0.1", port))
    loop.run_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
