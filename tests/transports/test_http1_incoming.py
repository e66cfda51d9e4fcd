"""Request bodies that are read as they come: back-pressure, limits, and clients that leave; over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

import pytest

from worker_ext.errors import ProtocolError
from worker_ext.transports.http1 import Exchange, HttpServer, Limits
from worker_ext.transports.http1_incoming import AHEAD

try:
    import uvloop
except ImportError:  # not available on Windows
    uvloop = None

LOOPS = {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})
PATIENCE = 10.0
HEAD = b"POST /stream HTTP/1.1\r\nHost: test\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

Run = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module", params=LOOPS)
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Runs a coroutine on one of the loops."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield lambda coroutine: runner.run(asyncio.wait_for(coroutine, PATIENCE))


class Streaming:
    """A server that streams the bodies of requests to ``/stream``, and hands the exchanges to a test."""

    def __init__(self, limits: Limits | None) -> None:
        self.begun: asyncio.Queue[Exchange] = asyncio.Queue()
        self.server = HttpServer(
            self.begun.put_nowait, limits=limits, streams=lambda exchange: exchange.path == "/stream"
        )

    async def pieces(self) -> tuple[Exchange, Any]:
        """The next exchange, and its body."""
        exchange = await self.begun.get()
        assert exchange.incoming is not None
        return exchange, exchange.incoming


@contextlib.asynccontextmanager
async def streaming(
    limits: Limits | None = None,
) -> AsyncIterator[tuple[Streaming, asyncio.StreamReader, asyncio.StreamWriter]]:
    it = Streaming(limits)
    [(host, port)] = await it.server.start("127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield it, reader, writer
    finally:
        writer.close()
        it.server.close()
        await it.server.drain(PATIENCE)


def answer(exchange: Exchange, body: bytes = b"done") -> None:
    assert exchange.respond(200, [], body)


def test_it_is_handed_on_before_the_body_and_read_piece_by_piece(run: Run) -> None:
    async def main() -> None:
        async with streaming() as (it, reader, writer):
            writer.write(CHUNKED)
            exchange, body = await it.pieces()
            assert not body.complete
            for word in (b"one", b"three"):
                writer.write(b"%x\r\n%b\r\n" % (len(word), word))
                assert await anext(body) == word
            writer.write(b"0\r\n\r\n")
            assert [piece async for piece in body] == []
            assert body.complete
            answer(exchange)
            assert b"connection: close" not in await reader.readuntil(b"\r\n\r\n")

    run(main())


def test_other_requests_and_those_without_a_body_come_as_ever(run: Run) -> None:
    async def main() -> None:
        async with streaming() as (it, _, writer):
            writer.write(b"POST /other HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc")
            exchange = await it.begun.get()
            assert (exchange.incoming, exchange.body) == (None, b"abc")
            answer(exchange)
            writer.write(b"GET /stream HTTP/1.1\r\nHost: test\r\n\r\n")
            exchange = await it.begun.get()
            assert (exchange.incoming, exchange.body) == (None, b"")
            answer(exchange)

    run(main())


def test_a_client_is_not_read_faster_than_it_is_listened_to(run: Run) -> None:
    async def main() -> None:
        size = 20_000_000
        async with streaming() as (it, _, writer):
            writer.write(HEAD + b"Content-Length: %d\r\n\r\n" % size)
            writer.write(b"x" * size)
            exchange, body = await it.pieces()
            while not body.is_ahead:
                await asyncio.sleep(0.001)
            waiting = writer.transport.get_write_buffer_size()
            assert waiting > size // 2  # nothing like all of it has been taken
            received = 0
            async for piece in body:
                received += len(piece)
                assert body._size < AHEAD + 2_000_000
            assert received == size
            answer(exchange)

    run(main())


def test_requests_behind_it_are_found(run: Run) -> None:
    async def main() -> None:
        async with streaming() as (it, reader, writer):
            writer.write(HEAD + b"Content-Length: 3\r\n\r\nabc" + CHUNKED + b"2\r\nde\r\n0\r\n\r\n")
            for expected in (b"abc", b"de"):
                exchange, body = await it.pieces()
                assert [piece async for piece in body] == [expected]
                answer(exchange, expected)
                assert (await reader.readuntil(expected)).startswith(b"HTTP/1.1 200 OK")

    run(main())


def test_a_client_that_asks_is_told_to_go_on(run: Run) -> None:
    async def main() -> None:
        async with streaming() as (it, reader, writer):
            writer.write(HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
            exchange, body = await it.pieces()
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            assert [piece async for piece in body] == [b"abc"]
            answer(exchange)

    run(main())


def test_a_body_that_is_not_read_to_its_end_closes_the_connection(run: Run) -> None:
    """What comes of it later would be taken for a request."""

    async def main() -> None:
        async with streaming() as (it, reader, writer):
            writer.write(HEAD + b"Content-Length: 100\r\n\r\nGET /evil HTTP/1.1\r\n")
            exchange, _ = await it.pieces()
            answer(exchange)
            assert b"connection: close" in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"Host: test\r\n\r\n")
            assert await reader.read() == b"done"
            assert it.begun.empty()

    run(main())


@pytest.mark.parametrize("rest", [b"zz\r\n", b"5\r\nabc"], ids=["malformed", "the client leaves"])
def test_what_comes_no_further_is_an_error_behind_what_has_come(run: Run, rest: bytes) -> None:
    async def main() -> None:
        async with streaming() as (it, _, writer):
            left = asyncio.Event()
            writer.write(CHUNKED + b"3\r\none\r\n")
            exchange, body = await it.pieces()
            exchange.on_disconnect = left.set
            assert await anext(body) == b"one"
            writer.write(rest)
            if rest.endswith(b"abc"):
                assert await anext(body) == b"abc"
                writer.close()
                await left.wait()
            with pytest.raises(ProtocolError, match="has not come"):
                await anext(body)

    run(main())


def test_limits_of_size_and_time_hold(run: Run) -> None:
    async def main() -> None:
        async with streaming(Limits(body=10)) as (it, reader, writer):
            writer.write(HEAD + b"Content-Length: 11\r\n\r\n")
            assert b" 413 " in await reader.readuntil(b"\r\n\r\n")
            assert it.begun.empty()
        async with streaming(Limits(body=10)) as (it, reader, writer):
            writer.write(CHUNKED + b"6\r\nabcdef\r\n6\r\nghijkl\r\n")
            exchange, body = await it.pieces()
            with pytest.raises(ProtocolError):
                [piece async for piece in body]
            answer(exchange)
            assert (await reader.read()).count(b"HTTP/1.1") == 1
        async with streaming(Limits(body_timeout=0.5)) as (it, _, writer):
            writer.write(CHUNKED + b"3\r\none\r\n")
            exchange, body = await it.pieces()
            assert await anext(body) == b"one"
            with pytest.raises(ProtocolError):
                await anext(body)
            answer(exchange)

    run(main())
