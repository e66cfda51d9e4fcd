"""The socket between the local host and its workers, which no other user of the machine can reach.

On POSIX it is a Unix socket in a folder that only its owner may enter; elsewhere, loopback TCP. Either way a worker
proves itself with a secret, made afresh at every start, that it was handed in its environment.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import ProtocolError
from .frames import FrameConnection

_HAS_UNIX_SOCKETS = sys.platform != "win32"


class Listener:
    """The host's end: accepts workers.

    :ivar address: what :func:`connect` takes, ``unix:<path>`` or ``tcp:<host>:<port>``.
    """

    def __init__(self, server: asyncio.AbstractServer, address: str, folder: str | None) -> None:
        self._server = server
        self._folder = folder
        self.address = address

    def close(self) -> None:
        """Stop accepting and remove the socket's folder."""
        self._server.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


async def listen(accept: Callable[[], FrameConnection]) -> Listener:
    """Open the host's end.

    :param accept: makes the protocol object of each connection; it is for that to have the secret proved.
    :raises OSError: if no socket can be opened.
    """
    loop = asyncio.get_running_loop()
    if _HAS_UNIX_SOCKETS:
        folder = tempfile.mkdtemp(prefix="worker-ext-")  # mkdtemp makes it with mode 0700
        path = str(Path(folder) / "host.sock")
        try:
            return Listener(await loop.create_unix_server(accept, path), f"unix:{path}", folder)
        except OSError:  # the path of the temporary folder is too long for a socket, or its disk knows none
            shutil.rmtree(folder, ignore_errors=True)
    server = await loop.create_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    return Listener(server, f"tcp:{host}:{port}", None)


async def connect(address: str, accept: Callable[[], FrameConnection]) -> FrameConnection:
    """Open the worker's end.

    :param address: a :attr:`Listener.address`.
    :raises ProtocolError: if the address has no known form.
    :raises OSError: if nothing listens there.
    """
    loop = asyncio.get_running_loop()
    kind, _, rest = address.partition(":")
    if kind == "unix" and _HAS_UNIX_SOCKETS:
        return (await loop.create_unix_connection(accept, rest))[1]
    host, _, port = rest.rpartition(":")
    if kind != "tcp" or not port.isdecimal():
        raise ProtocolError(f"the host's address {address!r} has no known form")
    return (await loop.create_connection(accept, host, int(port)))[1]
