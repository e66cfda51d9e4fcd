"""The client's end of a gRPC call, against a server of grpcio."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from worker_ext.transports.grpc_stream import GrpcStream, open_stream

PATH = "/some.Service/Stream"
DEADLINE = 30


class Server(grpc.GenericRpcHandler):
    """Serves one method; a test says how."""

    def __init__(self, serve: Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]) -> None:
        unlimited = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
        self.serve = serve
        self.server = grpc.server(ThreadPoolExecutor(2), options=unlimited)
        self.server.add_generic_rpc_handlers((self,))
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.stream_stream_rpc_method_handler(self.serve) if details.method == PATH else None


@pytest.fixture
def start_server() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(serve: Callable[[Iterator[bytes], grpc.ServicerContext], Iterator[bytes]]) -> Server:
        servers.append(Server(serve))
        return servers[-1]

    yield start
    for server in servers:
        server.server.stop(None).wait(DEADLINE)


def echo(incoming: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
    yield from incoming


class Call:
    """A call, and what has come of it."""

    def __init__(self) -> None:
        self.stream: GrpcStream
        self.received: list[bytes] = []
        self.reason: str | None = None
        self.changed = asyncio.Event()

    async def open(self, address: str, path: str = PATH) -> Call:
        self.stream = await open_stream(address, path, self._on_message, self._on_lost)
        return self

    def _on_message(self, message: bytes) -> None:
        self.received.append(message)
        self.changed.set()

    def _on_lost(self, reason: str) -> None:
        assert self.reason is None
        self.reason = reason
        self.changed.set()

    async def wait(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    async def lost(self) -> str:
        await self.wait(lambda: self.reason is not None)
        assert self.reason is not None
        return self.reason


def test_messages_of_all_sizes_go_both_ways_in_order(start_server):
    sent = [bytes([size % 256]) * size for size in (0, 1, 16_383, 16_384, 65_535, 65_536, 3_000_000, 0, 5)]

    async def run() -> Call:
        call = await Call().open(start_server(echo).address)
        call.stream.send(sent[:4])
        for message in sent[4:]:
            call.stream.send((message,))
        await call.wait(lambda: len(call.received) == len(sent))
        call.stream.close()
        assert await call.lost() == ""
        return call

    assert asyncio.run(run()).received == sent


@pytest.fixture
def restless() -> Iterator[None]:
    """Have threads give way to each other as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("longest", [1, 9_000, 60_000], ids=["tiny", "mixed", "held back"])
@pytest.mark.usefixtures("restless")
def test_threads_may_send_and_no_message_is_torn(start_server, longest):
    """The longest fill the server's window, so that the loop sends for threads what they could not."""
    count, threads = 200, 8

    async def run() -> list[bytes]:
        call = await Call().open(start_server(echo).address)

        def work(number: int) -> None:
            for each in range(count):
                call.stream.send((b"%d:%d:" % (number, each) + b"x" * (each * 3_701 % longest),))

        with ThreadPoolExecutor(threads) as pool:
            sending = [pool.submit(work, number) for number in range(threads)]
            await call.wait(lambda: len(call.received) == count * threads or any_failed(sending))
        for sent in sending:
            sent.result()
        call.stream.close()
        await call.lost()
        return call.received

    def any_failed(sending: list[Future[None]]) -> bool:
        return any(sent.done() and sent.exception() for sent in sending)

    received = asyncio.run(run())
    for number in range(threads):
        own = [message for message in received if message.startswith(b"%d:" % number)]
        assert [int(message.split(b":")[1]) for message in own] == list(range(count))
        assert all(set(message.split(b":")[2]) <= {ord("x")} for message in own)


class _Overtaken:
    """A lock that another thread holds, and lets go of, just before each time that it is asked for."""

    def __init__(self, lock: threading.Lock, meanwhile: Callable[[], None]) -> None:
        self._lock = lock
        self._meanwhile = [meanwhile]

    def acquire(self, blocking: bool = True) -> bool:
        while self._meanwhile:
            thread = threading.Thread(target=self._meanwhile.pop())
            thread.start()
            thread.join()
        return self._lock.acquire(blocking)

    def release(self) -> None:
        self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def test_a_thread_may_find_that_another_has_sent_its_message(start_server):
    async def run() -> list[bytes]:
        call = await Call().open(start_server(echo).address)
        stream: Any = call.stream  # there is no other way to have threads meet at just this step
        stream._state = _Overtaken(stream._state, lambda: stream.send((b"the other's",)))
        stream.send((b"one's own",))
        await call.wait(lambda: len(call.received) == 2)
        call.stream.close()
        await call.lost()
        return call.received

    assert asyncio.run(run()) == [b"one's own", b"the other's"]


def test_a_server_that_does_not_read_fills_it_and_gets_everything_later(start_server):
    reading = threading.Event()

    def serve(incoming: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        reading.wait(DEADLINE)
        yield b"%d" % sum(len(message) for message in incoming)

    async def run() -> None:
        call = await Call().open(start_server(serve).address)
        for _ in range(80):
            call.stream.send((b"x" * 1024 * 1024,))
        assert call.stream.is_full
        reading.set()
        call.stream.close()
        await call.lost()
        assert not call.stream.is_full
        assert call.received == [b"%d" % (80 * 1024 * 1024)]

    asyncio.run(run())


def test_the_servers_reason_is_told(start_server):
    def refuse(_incoming: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you, ü")
        yield b""

    async def run(path: str) -> str:
        call = await Call().open(start_server(refuse).address, path)
        return await call.lost()

    assert asyncio.run(run(PATH)) == "the server ended the call with the status 7: not you, ü"
    assert "status 12" in asyncio.run(run("/other.Service/Method"))


def test_a_server_that_is_gone_is_told_to_the_loop_and_to_the_watcher(start_server):
    gone = threading.Event()

    async def run() -> str:
        call = await Call().open(start_server(echo).address)
        call.stream.watch(gone.set)
        call.stream.send((b"x",))
        await call.wait(lambda: bool(call.received))
        server.stop(None)
        return await call.lost()

    started = start_server(echo)
    server = started.server
    start_server = lambda _serve: started  # noqa: E731
    assert asyncio.run(run()) != ""
    assert gone.wait(DEADLINE)


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00" * 100], ids=["none", "HTTP/1", "zeros"]
)
def test_a_server_of_something_else_ends_the_call(answer):
    async def run() -> str:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def serve() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            call = await Call().open(f"127.0.0.1:{server.getsockname()[1]}")
            reason = await call.lost()
            call.stream.send((b"into the void",))
            thread.join()
            return reason

    assert asyncio.run(run()) != ""


def test_a_server_that_is_not_there_is_an_error():
    with pytest.raises(OSError, match="Connect call failed"):
        asyncio.run(Call().open("127.0.0.1:1"))
