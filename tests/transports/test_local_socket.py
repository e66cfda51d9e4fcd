"""The socket between host and workers: who can reach it, and what is left of it."""

from __future__ import annotations

import asyncio
import hmac
import stat
import sys
import tempfile
from pathlib import Path

import pytest

from worker_ext.errors import ProtocolError
from worker_ext.transports import local_socket
from worker_ext.transports.frames import Frame, FrameConnection
from worker_ext.transports.local_socket import connect, listen

DEADLINE = 10.0
ON_POSIX = sys.platform != "win32"


@pytest.fixture(params=["unix", "tcp"] if ON_POSIX else ["tcp"])
def kind(request, monkeypatch):
    """Both kinds of sockets, where there are both."""
    monkeypatch.setattr(local_socket, "_HAS_UNIX_SOCKETS", request.param == "unix")
    return request.param


def run(coroutine):
    return asyncio.run(asyncio.wait_for(coroutine, DEADLINE))


class Peer:
    """Makes the connections of one side, and keeps what they receive."""

    def __init__(self, on_frame=lambda connection, frame: None):
        self.frames = asyncio.Queue()
        self.lost = asyncio.Queue()
        self._on_frame = on_frame

    def __call__(self):
        return FrameConnection(self._receive, lambda connection, error: self.lost.put_nowait(error))

    def _receive(self, connection, frame):
        self.frames.put_nowait(frame)
        self._on_frame(connection, frame)


def test_a_worker_reaches_its_host(kind):
    async def main():
        host = Peer(lambda connection, frame: connection.send(2, frame.call, frame.parts))
        worker = Peer()
        listener = await listen(host)
        assert listener.address.startswith(f"{kind}:")
        (await connect(listener.address, worker)).send(1, 7, [b"hello"])
        assert await worker.frames.get() == Frame(2, 7, [b"hello"])
        listener.close()

    run(main())


@pytest.mark.skipif(not ON_POSIX, reason="there are no Unix sockets")
def test_only_its_owner_can_enter_the_folder_of_a_unix_socket():
    async def main():
        listener = await listen(Peer())
        folder = Path(listener.address.removeprefix("unix:")).parent
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        listener.close()
        assert not folder.exists()
        listener.close()  # once more does no harm

    run(main())


def test_tcp_listens_on_loopback_only(kind):
    async def main():
        listener = await listen(Peer())
        if kind == "tcp":
            assert listener.address.startswith("tcp:127.0.0.1:")
        listener.close()

    run(main())


@pytest.mark.skipif(not ON_POSIX, reason="there are no Unix sockets")
def test_where_the_temporary_folder_is_too_deep_for_a_unix_socket_tcp_takes_its_place(tmp_path, monkeypatch):
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))

    async def main():
        listener = await listen(Peer())
        assert listener.address.startswith("tcp:")
        assert list(deep.iterdir()) == []
        (await connect(listener.address, Peer())).close()
        listener.close()

    run(main())


def test_nobody_is_let_in_after_the_end(kind):
    async def main():
        listener = await listen(Peer())
        listener.close()
        with pytest.raises(OSError):
            await connect(listener.address, Peer())

    run(main())


@pytest.mark.parametrize("proof", [[b"wrong"], [b""], []])
def test_who_does_not_know_the_secret_is_turned_away(kind, proof):
    """As the supervisor has it: the first frame must prove the worker, or the connection ends."""

    def introduce(connection, frame):
        if not frame.parts or not hmac.compare_digest(frame.parts[0], b"secret"):
            raise ProtocolError("a connection did not prove that it is a worker's")
        connection.send(2, 0, [b"welcome"])

    async def main():
        host, stranger, worker = Peer(introduce), Peer(), Peer()
        listener = await listen(host)
        connection = await connect(listener.address, stranger)
        connection.send(1, 0, proof)
        await stranger.lost.get()
        assert stranger.frames.empty()
        assert isinstance(await host.lost.get(), ProtocolError)
        (await connect(listener.address, worker)).send(1, 0, [b"secret"])
        assert await worker.frames.get() == Frame(2, 0, [b"welcome"])
        listener.close()

    run(main())


@pytest.mark.parametrize(
    "address", ["", "unix", "tcp", "tcp:", "tcp:127.0.0.1", "tcp:127.0.0.1:x", "http:127.0.0.1:80"]
)
def test_an_address_that_makes_no_sense(address, monkeypatch):
    monkeypatch.setattr(local_socket, "_HAS_UNIX_SOCKETS", False)
    with pytest.raises(ProtocolError, match="no known form"):
        run(connect(address, Peer))
