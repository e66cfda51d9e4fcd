"""Answers that are streamed: chunks, back-pressure, and a client that leaves; over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker_ext.transports.http1 import Exchange, HttpServer, Limits, ResponseStream

try:
    import uvloop
except ImportError:  # not available on Windows
    uvloop = None

LOOPS = {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})
PATIENCE = 10.0
TEXT = [(b"content-type", b"text/plain")]
HOST = b"Host: test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module", params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine on one of the loops."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield lambda coroutine: runner.run(asyncio.wait_for(coroutine, PATIENCE))


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        assert await self.reader.readexactly(2) == b"\r\n"
        return data

    async def chunks(self) -> list[bytes]:
        found = []
        while data := await self.chunk():
            found.append(data)
        return found


class Streaming:
    """A server whose streams a test writes to."""

    def __init__(self, headers: list[tuple[bytes, bytes]], status: int, limits: Limits | None) -> None:
        self.began: asyncio.Queue[ResponseStream] = asyncio.Queue()
        self.left: list[str] = []
        self.exchanges: list[Exchange] = []
        self._headers = headers
        self._status = status
        self.server = HttpServer(self._handle, limits=limits)

    def _handle(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.on_disconnect = lambda: self.left.append(exchange.path)
        stream = exchange.begin(self._status, self._headers)
        assert stream is not None
        self.began.put_nowait(stream)


@contextlib.asynccontextmanager
async def streaming(
    request: bytes = GET, *, headers: Any = TEXT, status: int = 200, limits: Limits | None = None
) -> AsyncIterator[tuple[Streaming, ResponseStream, Client]]:
    """A server, the stream of its first answer, and the client that asked for it."""
    served = Streaming(headers, status, limits)
    [address] = await served.server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*address, limit=1024)
    client = Client(reader, writer)
    client.send(request)
    try:
        yield served, await served.began.get(), client
    finally:
        writer.transport.abort()
        await served.server.drain(0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


def test_each_piece_leaves_at_once(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (_, stream, client):
            head = await client.head()
            assert b"transfer-encoding: chunked\r\n" in head
            assert b"content-length" not in head
            for piece in (b"first", b"second"):
                assert stream.write(piece)
                assert await client.chunk() == piece
            assert stream.write(b"")  # is no end
            stream.end()
            assert await client.chunk() == b""
            assert not stream.open
            assert not stream.write(b"more")

    run(test())


def test_the_connection_goes_on_afterwards(run: Run) -> None:
    async def test() -> None:
        async with streaming(GET + GET) as (served, stream, client):
            await client.head()
            assert served.began.empty()  # the second request waits for the end of the first answer
            stream.write(b"one")
            stream.end()
            assert await client.chunks() == [b"one"]
            second = await served.began.get()
            await client.head()
            second.write(b"two")
            second.end()
            assert await client.chunks() == [b"two"]
            assert served.left == []

    run(test())


def test_a_body_of_known_length_is_not_chunked(run: Run) -> None:
    async def test() -> None:
        async with streaming(headers=[(b"Content-Length", b"6")]) as (_, stream, client):
            assert b"transfer-encoding" not in await client.head()
            stream.write(b"abc")
            with pytest.raises(ValueError, match="1 bytes longer"):
                stream.write(b"defg")
            stream.write(b"def")
            stream.end()
            assert await client.reader.readexactly(6) == b"abcdef"

    run(test())


def test_a_body_that_is_too_short_is_cut_off(run: Run) -> None:
    async def test() -> None:
        async with streaming(headers=[(b"content-length", b"6")]) as (_, stream, client):
            await client.head()
            stream.write(b"abc")
            stream.end()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.reader.readexactly(6)

    run(test())


def test_what_cannot_be_completed_is_cut_off(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (served, stream, client):
            await client.head()
            stream.write(b"half of it")
            assert await client.chunk() == b"half of it"
            stream.abort()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await client.reader.readexactly(1)  # and so no last chunk
            assert (stream.open, served.left) == (False, [])

    run(test())


def test_http_1_0_gets_its_body_until_the_connection_ends(run: Run) -> None:
    async def test() -> None:
        async with streaming(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n") as (_, stream, client):
            head = await client.head()
            assert b"transfer-encoding" not in head
            assert b"connection: close\r\n" in head
            stream.write(b"one")
            stream.write(b"two")
            stream.end()
            assert await client.reader.read(-1) == b"onetwo"

    run(test())


@pytest.mark.parametrize(
    ("request_", "status", "line"),
    [
        (b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n", 200, b"transfer-encoding: chunked"),
        (GET, 204, b""),
        (GET, 205, b"content-length: 0"),
        (GET, 304, b""),
    ],
)
def test_answers_without_a_body(run: Run, request_: bytes, status: int, line: bytes) -> None:
    async def test() -> None:
        async with streaming(request_ + GET, status=status) as (served, stream, client):
            assert line in await client.head()
            assert stream.write(b"dropped")
            stream.end()
            await served.began.get()
            assert (await client.head()).startswith(b"HTTP/1.1 ")  # the next answer comes next

    run(test())


def test_one_request_has_one_answer(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (served, stream, _):
            [exchange] = served.exchanges
            assert exchange.begin(200, TEXT) is None
            assert not exchange.respond(200, TEXT, b"")
            stream.end()
            assert exchange.begin(200, TEXT) is None

    run(test())


@pytest.mark.parametrize(
    ("status", "headers"), [(200, [(b"x", b"a\r\nb: c")]), (200, [(b"a b", b"")]), (100, []), (99, [])]
)
def test_a_head_that_cannot_be_sent_can_be_replaced(run: Run, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    async def test() -> None:
        def handle(exchange: Exchange) -> None:
            with pytest.raises(ValueError):
                exchange.begin(status, headers)
            exchange.respond(500, TEXT, b"")

        server = HttpServer(handle)
        [address] = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        assert (await reader.readline()).startswith(b"HTTP/1.1 500 ")
        writer.close()
        await server.drain(0)

    run(test())


def test_a_slow_client_is_waited_for(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (_, stream, client):
            await client.head()
            caught_up: list[bool] = []
            stream.on_writable = lambda: caught_up.append(stream.writable)
            written = 0
            while stream.writable:  # until the buffers on the way are full
                stream.write(bytes(65536))
                written += 65536
            waiting = asyncio.ensure_future(stream.drain())
            await asyncio.sleep(0)
            assert not waiting.done()
            for _ in range(written // 65536):
                assert len(await client.chunk()) == 65536
            assert await waiting
            assert caught_up == [True]
            stream.end()
            assert await client.chunk() == b""

    run(test())


def test_a_client_that_leaves_is_noticed(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (served, stream, client):
            await client.head()
            while stream.writable:
                stream.write(bytes(65536))
            waiting = asyncio.ensure_future(stream.drain())
            client.writer.transport.abort()
            assert await waiting is False
            await until(lambda: served.left == ["/"])
            assert not stream.open
            assert not stream.write(b"more")
            stream.end()
            stream.abort()

    run(test())


def test_a_client_that_never_reads_is_cut_off(run: Run) -> None:
    async def test() -> None:
        async with streaming(limits=Limits(write_timeout=0.05)) as (served, stream, client):
            await client.head()
            while stream.writable:
                stream.write(bytes(65536))
            assert await stream.drain() is False
            assert served.left == ["/"]

    run(test())


def test_a_quiet_stream_has_all_the_time(run: Run) -> None:
    async def test() -> None:
        limits = Limits(keep_alive=0.2, head_timeout=0.2, body_timeout=0.2, write_timeout=0.2)
        async with streaming(limits=limits) as (_, stream, client):
            await client.head()
            await asyncio.sleep(0.5)  # more than twice what each limit allows
            stream.write(b"still there")
            assert await client.chunk() == b"still there"

    run(test())


def test_a_server_that_stops_lets_a_stream_end(run: Run) -> None:
    async def test() -> None:
        async with streaming() as (served, stream, client):
            await client.head()
            stopping = asyncio.ensure_future(served.server.drain(PATIENCE))
            await asyncio.sleep(0)
            stream.write(b"last")
            stream.end()
            assert await client.chunks() == [b"last"]
            assert await client.reader.read() == b""
            assert await stopping == 0

    run(test())


def test_a_handler_that_fails_after_its_beginning_cuts_the_answer_off(run: Run) -> None:
    async def test() -> None:
        def handle(exchange: Exchange) -> None:
            exchange.begin(200, TEXT)
            raise RuntimeError("on purpose")

        server = HttpServer(handle)
        [address] = await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(GET)
        with contextlib.suppress(ConnectionError):
            assert b"0\r\n\r\n" not in (await reader.read()).partition(b"\r\n\r\n")[2]
        writer.close()
        await server.drain(0)

    run(test())


@settings(max_examples=40)
@given(pieces=st.lists(st.binary(max_size=300), max_size=12), known=st.booleans())
def test_any_pieces_arrive_as_they_are(run: Run, pieces: list[bytes], known: bool) -> None:
    async def test() -> None:
        whole = b"".join(pieces)
        headers = [(b"content-length", b"%d" % len(whole))] if known else []
        async with streaming(headers=headers) as (_, stream, client):
            await client.head()
            for piece in pieces:
                stream.write(piece)
            stream.end()
            if known:
                assert await client.reader.readexactly(len(whole)) == whole
            else:
                assert await client.chunks() == [piece for piece in pieces if piece]

    run(test())
