"""The HTTP/1.1 server, over real sockets, on asyncio's own loop and on uvloop."""

import asyncio
import contextlib
import email.utils
import errno
import logging
import os
import re
import shutil
import socket
import ssl
import struct
import subprocess
import time
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker_ext.transports.http1 import HttpServer, Limits

try:
    import uvloop
except ImportError:  # not available on Windows
    uvloop = None

LOOPS = {"asyncio": asyncio.new_event_loop} | ({"uvloop": uvloop.new_event_loop} if uvloop else {})
PATIENCE = 10  # seconds until a test that waits for something fails
TEXT = [(b"content-type", b"text/plain")]
HOST = b"Host: test\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"

bounded = settings(max_examples=60)


@pytest.fixture(scope="module", params=LOOPS)
def run(request):
    """Runs a coroutine on one of the loops."""
    with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
        yield lambda coroutine: runner.run(asyncio.wait_for(coroutine, PATIENCE))


class Response(NamedTuple):
    status: int
    headers: dict[bytes, bytes]
    body: bytes
    head: bytes


class Client:
    """Speaks plain bytes to a server and reads answers strictly."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def response(self, method=b"GET"):
        head = await self.reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head[:-4].split(b"\r\n")
        assert re.fullmatch(rb"HTTP/1\.1 \d{3} [A-Za-z' -]*", status_line)
        headers = dict(line.split(b": ", 1) for line in lines)
        assert len(headers) == len(lines), "a field came twice"
        length = 0 if method == b"HEAD" else int(headers.get(b"content-length", 0))
        return Response(int(status_line[9:12]), headers, await self.reader.readexactly(length), head)

    async def ask(self, request):
        await self.send(request)
        return await self.response(request.partition(b" ")[0])

    async def rest(self):
        """What comes until the server closes; a reset counts as that."""
        data = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(65536):
                data += piece
        return data

    def reset(self):
        """Leave without a goodbye."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if os.name == "nt" else "ii", 1, 0))
        self.writer.transport.abort()


class Server:
    """A server for one test, which fails if an exception gets as far as the loop."""

    def __init__(self, handle=None, *, tls=None, **limits):
        self.seen = []
        self._handle = handle or (lambda exchange: exchange.respond(200, TEXT, b"hello"))
        self._tls = tls
        self.http = HttpServer(self._note, limits=Limits(**limits))
        self._clients = contextlib.AsyncExitStack()

    def _note(self, exchange):
        self.seen.append(exchange)
        self._handle(exchange)

    async def __aenter__(self):
        self.faults = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self.faults.append(context))
        [self.address] = await self.http.start("127.0.0.1", 0, ssl=self._tls)
        return self

    async def __aexit__(self, *error):
        await self._clients.aclose()
        await self.http.drain(0)
        if error[0] is None:
            assert not self.faults

    async def connect(self, **options):
        reader, writer = await asyncio.open_connection(*self.address, **options)

        async def leave():
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

        self._clients.push_async_callback(leave)
        return Client(reader, writer)

    async def ask(self, request):
        """One answer, over a connection of its own that the server is to close."""
        client = await self.connect()
        response = await client.ask(request)
        assert response.headers[b"connection"] == b"close"
        assert await client.rest() == b""
        return response


async def server_turn():
    """Let the server, which is on the same loop, read what has just been sent."""
    for _ in range(3):
        await asyncio.sleep(0)


async def eventually(condition):
    while not condition():
        await asyncio.sleep(0.002)


class Held:
    """A handler that leaves its exchanges to the test."""

    def __init__(self):
        self.exchanges = asyncio.Queue()
        self.left = []

    def __call__(self, exchange):
        exchange.on_disconnect = lambda: self.left.append(exchange)
        self.exchanges.put_nowait(exchange)

    async def next(self):
        return await self.exchanges.get()


# Requests


def test_a_handler_gets_all_of_a_request(run):
    async def main():
        async with Server() as server:
            client = await server.connect()
            await client.ask(
                b"POST /a%20b/c?x=1&y=%3f?z HTTP/1.1\r\nHost: test:80\r\nX-Twice: 1\r\nx-twice:2  \r\nX-Empty:\r\n"
                b"X-Latin: \xe9\r\nContent-Length: 4\r\n\r\n\x00\r\n\xff"
            )
            [exchange] = server.seen
            assert exchange.method == "POST"
            assert exchange.target == b"/a%20b/c?x=1&y=%3f?z"
            assert exchange.path == "/a%20b/c"
            assert exchange.query == "x=1&y=%3f?z"
            assert exchange.headers == [
                (b"host", b"test:80"),
                (b"x-twice", b"1"),
                (b"x-twice", b"2"),
                (b"x-empty", b""),
                (b"x-latin", b"\xe9"),
                (b"content-length", b"4"),
            ]
            assert exchange.body == b"\x00\r\n\xff"
            assert type(exchange.body) is bytes
            assert exchange.http_version == "1.1"
            assert exchange.client == client.writer.get_extra_info("sockname")

    run(main())


@pytest.mark.parametrize(
    ("sent", "target", "host"),
    [
        (b"GET /a?b HTTP/1.1\r\nHost: sent\r\n\r\n", b"/a?b", b"sent"),
        (b"GET // HTTP/1.1\r\nHost:\r\n\r\n", b"//", b""),
        (b"GET http://target:80/a?b HTTP/1.1\r\nHost: sent\r\n\r\n", b"/a?b", b"target:80"),
        (b"GET HTTPS://[::1] HTTP/1.1\r\nHost: sent\r\n\r\n", b"/", b"[::1]"),
        (b"GET http://target?b HTTP/1.0\r\n\r\n", b"/?b", b"target"),
        (b"OPTIONS * HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", b"*", b"[::1]:8080"),
    ],
)
def test_a_target_is_reduced_to_path_and_query(run, sent, target, host):
    async def main():
        async with Server() as server:
            response = await (await server.connect()).ask(sent)
            assert response.status == 200
            assert server.seen[0].target == target
            assert dict(server.seen[0].headers)[b"host"] == host

    run(main())


POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 11\r\n\r\nhello world",
        CHUNKED + b"\r\nb\r\nhello world\r\n0\r\n\r\n",
        CHUNKED + b"\r\n6;name=value\r\nhello \r\n005\r\nworld\r\n0\r\nTrailer: dropped\r\n\r\n",
        POST + b"Transfer-Encoding: Chunked\r\n\r\nB\r\nhello world\r\n0\r\n\r\n",
        POST + b"Expect: 100-CONTINUE\r\nContent-Length: 11\r\n\r\nhello world",
        POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Length: 11\r\n\r\nhello world",
        CHUNKED + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 11\r\n\r\nhello world",
    ],
)
def test_a_body_arrives_whole_however_it_is_framed(run, request_):
    async def main():
        async with Server() as server:
            client = await server.connect()
            assert (await client.ask(request_)).status == 200
            assert (await client.ask(GET)).status == 200
            assert [exchange.body for exchange in server.seen] == [b"hello world", b""]
            assert [name for name, _ in server.seen[0].headers].count(b"trailer") == 0

    run(main())


def test_a_request_to_upgrade_is_answered_like_any_other(run):
    upgrade = b"GET /%d HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

    async def main():
        async with Server() as server:
            client = await server.connect()
            await client.send(upgrade % 1 + upgrade % 2 + GET)
            assert [(await client.response()).status for _ in range(3)] == [200, 200, 200]
            assert [exchange.path for exchange in server.seen] == ["/1", "/2", "/"]
            last = await client.ask(GET.replace(HOST, HOST + b"Connection: upgrade, close\r\nUpgrade: h2c\r\n"))
            assert last.headers[b"connection"] == b"close"

    run(main())


REFUSED = {
    "not http": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"),
    "unknown method": (400, b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n"),
    "connect": (501, b"CONNECT test:80 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "http 0.9": (505, b"GET / HTTP/0.9\r\n\r\n"),
    "http 2.0": (505, b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"),
    "http 2 preface": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "no host": (400, b"GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n"),
    "two hosts in 1.0": (400, b"GET / HTTP/1.0\r\n" + HOST + HOST + b"\r\n"),
    "host with a path": (400, b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"),
    "host with a user": (400, b"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"),
    "host list": (400, b"GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"),
    "relative target": (400, b"GET a HTTP/1.1\r\n" + HOST + b"\r\n"),
    "fragment": (400, b"GET /a#b HTTP/1.1\r\n" + HOST + b"\r\n"),
    "asterisk": (400, b"GET * HTTP/1.1\r\n" + HOST + b"\r\n"),
    "asterisk with more": (400, b"OPTIONS *a HTTP/1.1\r\n" + HOST + b"\r\n"),
    "foreign scheme": (400, b"GET ftp://a/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "url with a user": (400, b"GET http://u:p@a/ HTTP/1.1\r\n" + HOST + b"\r\n"),
    "url without a host": (400, b"GET http:///a HTTP/1.1\r\n" + HOST + b"\r\n"),
    "non-ascii target": (400, b"GET /\xe9 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "control in target": (400, b"GET /\x01 HTTP/1.1\r\n" + HOST + b"\r\n"),
    "blank in target": (400, b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n"),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: test\n\n"),
    "bare line feed after a value": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\nB: 2\r\n\r\n"),
    "bare carriage return": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\rB: 2\r\n\r\n"),
    "line folding": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\r\n 2\r\n\r\n"),
    "nul": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\x002\r\n\r\n"),
    "control in a value": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A: 1\x7f\r\n\r\n"),
    "blank before the colon": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A : 1\r\n\r\n"),
    "blank before the first name": (400, b"GET / HTTP/1.1\r\n A: 1\r\n" + HOST + b"\r\n"),
    "name that is no token": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A(: 1\r\n\r\n"),
    "no name": (400, b"GET / HTTP/1.1\r\n" + HOST + b": 1\r\n\r\n"),
    "no colon": (400, b"GET / HTTP/1.1\r\n" + HOST + b"A\r\n\r\n"),
    "length and chunked": (400, CHUNKED + b"Content-Length: 3\r\n\r\n0\r\n\r\n"),
    "chunked and length": (400, POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "two lengths": (400, POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
    "length list": (400, POST + b"Content-Length: 3, 3\r\n\r\nabc"),
    "signed length": (400, POST + b"Content-Length: +3\r\n\r\nabc"),
    "negative length": (400, POST + b"Content-Length: -3\r\n\r\nabc"),
    "hexadecimal length": (400, POST + b"Content-Length: 0x3\r\n\r\nabc"),
    "no length": (400, POST + b"Content-Length:\r\n\r\nabc"),
    "overflowing length": (400, POST + b"Content-Length: 99999999999999999999999\r\n\r\nabc"),
    "unknown coding": (400, POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
    "chunked not last": (400, POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
    "chunked twice": (400, CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "chunked, then identity": (400, CHUNKED + b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n"),
    "chunked with a control": (400, POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n"),
    "chunked in 1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    "gzip": (501, POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
    "chunk size with a blank": (400, CHUNKED + b"\r\n3 \r\nabc\r\n0\r\n\r\n"),
    "chunk size with a prefix": (400, CHUNKED + b"\r\n0x3\r\nabc\r\n0\r\n\r\n"),
    "chunk size after a line feed": (400, CHUNKED + b"\r\n3\nabc\r\n0\r\n\r\n"),
    "overflowing chunk size": (400, CHUNKED + b"\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
    "chunk longer than its size": (400, CHUNKED + b"\r\n3\r\nabcd\r\n0\r\n\r\n"),
    "line feed in a chunk extension": (400, CHUNKED + b"\r\n3;a\nb\r\nabc\r\n0\r\n\r\n"),
    "length in the trailer section": (400, CHUNKED + b"\r\n0\r\nContent-Length: 3\r\n\r\nabc"),
    "unknown expectation": (417, POST + b"Expect: a miracle\r\nContent-Length: 3\r\n\r\nabc"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_a_proper_request_is_refused_and_the_connection_closed(run, case):
    status, request = REFUSED[case]

    async def main():
        async with Server() as server:
            # What follows must never be taken for a request: that would be request smuggling.
            response = await server.ask(request + GET)
            assert response.status == status
            assert response.body.endswith(b".")
            assert server.seen == []

    run(main())


def test_a_request_before_a_refused_one_is_answered(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET + b"nonsense\r\n\r\n")
            (await held.next()).respond(200, TEXT, b"good")
            assert (await client.response()).body == b"good"
            assert (await client.response()).status == 400
            assert await client.rest() == b""

    run(main())


STREAMS = [
    b"GET /1?q HTTP/1.1\r\nHost: a\r\nA:  b \r\nC:\r\n\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /3 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"GET /4 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nGET",
    CHUNKED + b"\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n" + GET + b"GET /5 HTTP/1.0\r\n\r\n" + GET,
    POST
    + b"Upgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 3\r\n\r\nabc"
    + GET
    + b"GET / HTTP/1.1\r\n\r\n"
    + GET,
    CHUNKED + b"Upgrade: h2c\r\nConnection: upgrade\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + POST + b"Content-Length: x\r\n\r\n",
    b"GET http://b/?c HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + CHUNKED + b"\r\n3\r\nabcd\r\n",
    GET + b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 300 + b"\r\n\r\n" + GET,
    GET + b"GET / HTTP/1.1\r\n" + HOST + b"A:1\r\n" * 9 + b"\r\n" + GET,
]


async def outcome(pieces):
    """What a server makes of these pieces, in terms that do not change from run to run."""
    async with Server(head=300, headers=8) as server:
        client = await server.connect()
        for piece in pieces:
            with contextlib.suppress(ConnectionError):
                await client.send(piece)
            await server_turn()
        if client.writer.can_write_eof():
            with contextlib.suppress(OSError):
                client.writer.write_eof()
        answers = re.sub(rb"date: [^\r]*", b"", await client.rest())
        seen = [(e.method, e.target, e.headers, e.body, e.http_version, e.keep_alive) for e in server.seen]
        return answers, seen


@pytest.mark.parametrize("stream", STREAMS)
def test_requests_that_come_byte_by_byte_are_the_same(run, stream):
    whole = run(outcome([stream]))
    assert whole[1]
    assert run(outcome(stream[i : i + 1] for i in range(len(stream)))) == whole


@bounded
@given(st.sampled_from(STREAMS), st.lists(st.integers(0, 450), max_size=8))
def test_requests_that_come_in_any_pieces_are_the_same(run, stream, cuts):
    ends = sorted(min(cut, len(stream)) for cut in cuts)
    pieces = [stream[a:b] for a, b in zip([0, *ends], [*ends, len(stream)]) if a < b]
    assert run(outcome(pieces)) == run(outcome([stream]))


FRAGMENTS = [
    b"GET ", b"POST ", b"CONNECT ", b"/", b"*", b"http://a/", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n", b"\n",
    b"\r", b"\0",
    b": ", b" ", HOST, b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Upgrade: h2c\r\n", b"0\r\n\r\n",
    b"Connection: upgrade\r\n", b"Connection: close\r\n", b"Expect: 100-continue\r\n", b"3\r\nabc\r\n", b"abc", GET,
]  # fmt: skip


@bounded
@given(st.lists(st.one_of(st.sampled_from(FRAGMENTS), st.binary(max_size=20)), max_size=25).map(b"".join))
def test_no_bytes_break_the_server_or_leave_a_connection_hanging(run, data):
    async def main():
        async with Server(head=500, body=100) as server:
            client = await server.connect()
            await client.send(data)
            with contextlib.suppress(OSError):
                client.writer.write_eof()
            await client.rest()
            assert (await (await server.connect()).ask(GET)).status == 200
            await eventually(lambda: server.http.connections == 1)

    run(main())


# Answers


def test_an_answer_is_a_status_line_some_fields_and_the_body(run):
    async def main():
        async with Server(lambda exchange: exchange.respond(201, [(b"X-Name", b"\xe9"), *TEXT], b"hello")) as server:
            response = await (await server.connect()).ask(GET)
            date = response.headers[b"date"]
            assert response.head.split(b"\r\n") == [
                b"HTTP/1.1 201 Created",
                b"date: " + date,
                b"X-Name: \xe9",
                b"content-type: text/plain",
                b"content-length: 5",
                b"",
                b"",
            ]
            assert response.body == b"hello"
            sent = email.utils.parsedate_to_datetime(date.decode()).timestamp()
            assert email.utils.formatdate(sent, usegmt=True) == date.decode()
            assert abs(sent - time.time()) < 5

    run(main())


@pytest.mark.parametrize(
    ("method", "status", "given", "length", "body"),
    [
        (b"HEAD", 200, [], b"5", b""),
        (b"HEAD", 404, [], b"5", b""),
        (b"HEAD", 200, [(b"Content-Length", b"3")], b"5", b""),
        (b"GET", 204, [], None, b""),
        (b"GET", 304, [], None, b""),
        (b"GET", 205, [], b"0", b""),
        (b"GET", 299, [], b"5", b"hello"),
        (b"GET", 200, [(b"Content-Length", b"3")], b"5", b"hello"),
        (b"GET", 200, [(b"Transfer-Encoding", b"chunked")], b"5", b"hello"),
        (b"GET", 200, [(b"Connection", b"upgrade"), (b"Keep-Alive", b"timeout=9")], b"5", b"hello"),
    ],
)
def test_the_server_frames_the_answer(run, method, status, given, length, body):
    async def main():
        async with Server(lambda exchange: exchange.respond(status, given, b"hello")) as server:
            client = await server.connect()
            for _ in range(2):  # the second shows that the first ended where it should
                response = await client.ask(method + b" / HTTP/1.1\r\n" + HOST + b"\r\n")
                assert response.status == status
                assert response.headers.get(b"content-length") == length
                assert response.body == body
                assert not response.headers.keys() & {b"transfer-encoding", b"connection", b"keep-alive"}

    run(main())


def test_an_answer_to_head_may_tell_the_length_without_making_the_body(run):
    async def main():
        async with Server(lambda exchange: exchange.respond(200, [(b"content-length", b"1234")], b"")) as server:
            response = await (await server.connect()).ask(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n")
            assert response.headers[b"content-length"] == b"1234"

    run(main())


def test_the_date_follows_the_clock(run):
    async def main():
        async with Server(linger=0.04) as server:
            client = await server.connect()
            date = first = (await client.ask(GET)).headers[b"date"]
            while date == first:
                await asyncio.sleep(0.01)
                date = (await client.ask(GET)).headers[b"date"]
            assert email.utils.parsedate_to_datetime(date.decode()).timestamp() == pytest.approx(time.time(), abs=5)

    run(main())


def test_a_date_of_ones_own_is_sent_instead(run):
    async def main():
        async with Server(lambda exchange: exchange.respond(200, [(b"Date", b"Tomorrow")], b"")) as server:
            assert (await (await server.connect()).ask(GET)).headers[b"date"] == b"Tomorrow"

    run(main())


def test_an_answer_that_promises_another_closes_the_connection(run):
    async def main():
        async with Server(lambda exchange: exchange.respond(101, [(b"upgrade", b"x")], b"hello")) as server:
            response = await server.ask(GET)
            assert response.status == 101
            assert b"content-length" not in response.headers

    run(main())


@pytest.mark.parametrize(
    ("request_", "headers", "connection"),
    [
        (GET, [], None),
        (GET, [(b"Connection", b"Close")], b"close"),
        (GET.replace(HOST, HOST + b"Connection: close\r\n"), [], b"close"),
        (GET.replace(HOST, HOST + b"Connection: a, close\r\n"), [], b"close"),
        (b"GET / HTTP/1.0\r\n\r\n", [], b"close"),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", [], b"keep-alive"),
    ],
)
def test_a_connection_stays_open_if_both_sides_want_it(run, request_, headers, connection):
    async def main():
        async with Server(lambda exchange: exchange.respond(200, headers, b"")) as server:
            client = await server.connect()
            assert (await client.ask(request_)).headers.get(b"connection") == connection
            if connection == b"close":
                assert await client.rest() == b""
            else:
                assert (await client.ask(request_)).status == 200

    run(main())


@pytest.mark.parametrize(
    ("status", "headers", "body", "error"),
    [
        (200, [(b"x", b"1\r\nset-cookie: a=b")], b"", ValueError),
        (200, [(b"x", b"1\n2")], b"", ValueError),
        (200, [(b"x", b"1\r2")], b"", ValueError),
        (200, [(b"x", b"1\x002")], b"", ValueError),
        (200, [(b"date", b"1\r\n2")], b"", ValueError),
        (200, [(b"x\r\ny", b"1")], b"", ValueError),
        (200, [(b"x y", b"1")], b"", ValueError),
        (200, [(b"x:", b"1")], b"", ValueError),
        (200, [(b"", b"1")], b"", ValueError),
        (99, [], b"", ValueError),
        (1000, [], b"", ValueError),
        (200, [], "text", TypeError),
    ],
)
def test_what_cannot_be_sent_is_refused_before_anything_is_written(run, status, headers, body, error):
    def handle(exchange):
        with pytest.raises(error):
            exchange.respond(status, headers, body)
        assert exchange.respond(500, [], b"")

    async def main():
        async with Server(handle) as server:
            client = await server.connect()
            assert (await client.ask(GET)).status == 500
            assert (await client.ask(GET)).status == 500

    run(main())


def test_a_second_answer_is_not_taken(run):
    answers = []

    def handle(exchange):
        answers.append(exchange.respond(200, [], b"first"))
        answers.append(exchange.respond(200, [], b"second"))

    async def main():
        async with Server(handle) as server:
            client = await server.connect()
            assert (await client.ask(GET)).body == b"first"
            assert (await client.ask(GET)).body == b"first"
            assert answers == [True, False, True, False]

    run(main())


def test_what_a_handler_raises_is_logged_and_answered(run, caplog):
    def handle(exchange):
        if exchange.path == "/late":
            exchange.respond(200, [], b"in time")
        raise RuntimeError("broken")

    async def main():
        async with Server(handle) as server:
            client = await server.connect()
            response = await client.ask(b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n")
            assert response.status == 500
            assert b"broken" not in response.body
            assert (await client.ask(b"GET /late HTTP/1.1\r\n" + HOST + b"\r\n")).body == b"in time"

    with caplog.at_level(logging.ERROR, "worker_ext.transports"):
        run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "Handling GET /first failed",
        "Handling GET /late failed",
    ]
    assert "RuntimeError: broken" in caplog.text


def test_the_body_of_an_error_can_be_made_by_others(run):
    def error_body(status, message):
        return [(b"content-type", b"application/json")], b'{"%d": "%b"}' % (status, message.encode())

    async def main():
        server = HttpServer(lambda exchange: None, error_body=error_body)
        [address] = await server.start("127.0.0.1", 0)
        client = Client(*await asyncio.open_connection(*address))
        response = await client.ask(b"GET / HTTP/1.1\r\n\r\n")
        assert response.headers[b"content-type"] == b"application/json"
        assert response.body == b'{"400": "The request has no Host header."}'
        client.writer.close()
        await server.drain(PATIENCE)

    run(main())


# Order


def test_pipelined_requests_are_answered_one_after_the_other(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(b"".join(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n" for i in range(3)))
            for i in range(3):
                exchange = await held.next()
                assert exchange.path == f"/{i}"
                assert held.exchanges.empty()
                assert server.http.in_flight == 1
                exchange.respond(200, [], b"%d" % i)
                assert (await client.response()).body == b"%d" % i
            assert server.http.in_flight == 0

    run(main())


def test_any_number_of_pipelined_requests_is_answered(run):
    async def main():
        async with Server(lambda exchange: exchange.respond(200, [], exchange.query.encode())) as server:
            client = await server.connect()
            sending = asyncio.create_task(
                client.send(b"".join(b"GET /?%d HTTP/1.1\r\n" % i + HOST + b"\r\n" for i in range(5000)))
            )
            for i in range(5000):
                assert (await client.response()).body == b"%d" % i
            await sending

    run(main())


def test_reading_pauses_while_enough_requests_wait(run):
    size, count = 1_048_576, 64

    async def main():
        held = Held()
        async with Server(held, pipelined=2) as server:
            client = await server.connect()
            request = POST + b"Content-Length: %d\r\n\r\n" % size + bytes(size)
            sending = asyncio.create_task(client.send(request * count))
            exchange = await held.next()
            # Were all of it read, this would take a quarter of the time.
            await asyncio.wait([sending], timeout=0.5)
            assert not sending.done()
            for _ in range(count - 1):
                exchange.respond(200, [], b"")
                exchange = await held.next()
            exchange.respond(200, [], b"")
            await sending
            for _ in range(count):
                assert (await client.response()).status == 200

    run(main())


def test_a_connection_that_closes_while_reading_pauses_takes_notice_of_the_client(run):
    async def main():
        async with Server(held := Held(), pipelined=1, linger=60) as server:
            client = await server.connect()
            await client.send(GET * 5)
            (await held.next()).respond(200, [(b"connection", b"close")], b"last")
            assert (await client.response()).body == b"last"
            assert await client.rest() == b""
            client.writer.close()
            await eventually(lambda: server.http.connections == 0)

    run(main())


def test_requests_of_a_client_that_does_not_read_wait(run):
    big = bytes(32 * 1_048_576)  # more than the system's buffers hold
    handled = []

    def handle(exchange):
        handled.append(exchange.path)
        exchange.respond(200, [], big)

    async def main():
        async with Server(handle) as server:
            client = await server.connect()
            await client.send(b"GET /1 HTTP/1.1\r\n" + HOST + b"\r\nGET /2 HTTP/1.1\r\n" + HOST + b"\r\n")
            await eventually(lambda: handled)
            assert handled == ["/1"]  # both had come in one read
            for _ in range(2):
                assert (await client.response()).body == big
            assert handled == ["/1", "/2"]

    run(main())


def test_a_client_that_does_not_read_for_too_long_is_dropped(run):
    async def main():
        big = bytes(32 * 1_048_576)
        async with Server(lambda exchange: exchange.respond(200, [], big), write_timeout=0.05, linger=60) as server:
            client = await server.connect()
            await client.send(GET + GET)
            await eventually(lambda: server.seen)
            await eventually(lambda: server.http.connections == 0)
            assert len(server.seen) == 1
            assert len(await client.rest()) < 32 * 1_048_576

    run(main())


def test_a_client_that_reads_slowly_is_not_dropped(run):
    async def main():
        big = bytes(32 * 1_048_576)
        async with Server(lambda exchange: exchange.respond(200, [], big), write_timeout=0.6) as server:
            client = await server.connect()
            await client.send(GET)
            await client.reader.readuntil(b"\r\n\r\n")
            for _ in range(16):
                await client.reader.readexactly(2 * 1_048_576)
                await asyncio.sleep(0.05)

    run(main())


def test_a_client_that_does_not_read_the_last_answer_is_dropped_too(run):
    async def main():
        big = bytes(32 * 1_048_576)
        async with Server(lambda exchange: exchange.respond(200, [], big), write_timeout=0.05, linger=60) as server:
            client = await server.connect()
            await client.send(GET.replace(HOST, HOST + b"Connection: close\r\n"))
            await eventually(lambda: server.seen)
            await eventually(lambda: server.http.connections == 0)

    run(main())


# 100 Continue


def test_a_client_that_waits_for_it_is_told_to_continue(run):
    async def main():
        async with Server() as server:
            client = await server.connect()
            for framing, body in (
                (b"Content-Length: 5", b"hello"),
                (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
            ):
                await client.send(POST + b"Expect: 100-continue\r\n" + framing + b"\r\n\r\n")
                assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                await client.send(body[:4])
                await server_turn()
                assert (await client.ask(body[4:])).status == 200
            assert [exchange.body for exchange in server.seen] == [b"hello", b"hello"]

    run(main())


def test_the_answers_that_are_due_come_before_it(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET + POST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
            (await held.next()).respond(200, [], b"first")
            assert (await client.response()).body == b"first"
            assert (await client.response()).status == 100
            await client.send(b"hello")
            (await held.next()).respond(200, [], b"second")
            assert (await client.response()).body == b"second"

    run(main())


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n",
        b"POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
        GET.replace(HOST, HOST + b"Expect: 100-continue\r\n"),
    ],
)
def test_nobody_is_told_to_continue_without_need(run, request_):
    async def main():
        async with Server() as server:
            client = await server.connect()
            head, end, body = request_.partition(b"\r\n\r\n")
            await client.send(head + end)
            await server_turn()
            await client.send(body)
            assert (await client.response()).status == 200

    run(main())


# Limits


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 500, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 500, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A" * 500, 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: " + b"a" * 500 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + HOST + b"A: a\r\n" * 20 + b"\r\n", 431),
        (POST + b"Content-Length: 101\r\n\r\n", 413),
        (POST + b"Content-Length: 18446744073709551615\r\n\r\n", 413),
        (POST + b"Expect: 100-continue\r\nContent-Length: 101\r\n\r\n", 413),
        (CHUNKED + b"\r\n" + b"1\r\na\r\n" * 101, 413),
        (CHUNKED + b"\r\nFFFFFFFF\r\n" + b"a" * 101, 413),
    ],
)
def test_too_much_is_refused_without_waiting_for_the_rest(run, request_, status):
    async def main():
        async with Server(head=400, headers=16, body=100) as server:
            for before in b"", GET:
                client = await server.connect()
                if before:
                    assert (await client.ask(before)).status == 200
                response = await client.ask(request_)
                assert response.status == status
                assert response.headers[b"connection"] == b"close"
                assert await client.rest() == b""
            assert len(server.seen) == 1

    run(main())


def test_as_much_as_the_limits_allow_is_taken(run):
    async def main():
        head = POST + b"Content-Length: 100\r\nX: "
        async with Server(head=200, headers=3, body=100) as server:
            client = await server.connect()
            exact = head + b"x" * (200 - len(head) - 4) + b"\r\n\r\n"
            assert len(exact) == 200
            assert (await client.ask(exact + bytes(100))).status == 200
            assert (await client.ask(CHUNKED + b"\r\n" + b"1\r\na\r\n" * 100 + b"0\r\n\r\n")).status == 200
            assert (await client.ask(exact.replace(b"X: ", b"X: x"))).status == 431

    run(main())


@pytest.mark.parametrize("endless", [b"0\r\nX: ", b"1;x=", b"0\r\n" + b"a: b\r\n" * 10])
def test_what_is_not_data_in_a_chunked_body_is_bounded(run, endless):
    async def main():
        async with Server(head=200) as server:
            client = await server.connect()
            await client.send(CHUNKED + b"\r\n1\r\na\r\n" + endless)
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    await client.send(b"a: b\r\n" if endless.endswith(b"\n") else b"abcdef")
                    await asyncio.sleep(0)
            assert (await client.response()).status == 431

    run(main())


def test_a_client_that_goes_on_sending_can_read_the_refusal(run):
    async def main():
        async with Server(body=10) as server:
            client = await server.connect()
            await client.send(POST + b"Content-Length: 16000000\r\n\r\n")
            for _ in range(16):
                await client.send(bytes(1_000_000))
            assert (await client.response()).status == 413
            assert await client.rest() == b""

    run(main())


def test_a_client_that_never_stops_sending_is_cut_off(run):
    async def main():
        async with Server(body=10, linger=0.05) as server:
            client = await server.connect()

            async def send_on():
                await client.send(POST + b"Content-Length: 1000000000000\r\n\r\n")
                while True:
                    await client.send(bytes(65536))
                    await asyncio.sleep(0)

            with pytest.raises(ConnectionError):
                await send_on()

    run(main())


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        (b"G", "head"),
        (b"GET / HTTP/1.1\r\nHost: te", "head"),
        (POST + b"Content-Length: 5\r\n\r\n", "body"),
        (POST + b"Content-Length: 5\r\n\r\nhell", "body"),
        (CHUNKED + b"\r\n5\r\nhello\r\n0\r\nTrailer", "body"),
    ],
)
def test_a_request_that_does_not_come_to_an_end_is_refused(run, request_, seconds):
    limits = {f"{seconds}_timeout": 0.05}

    async def main():
        async with Server(**limits) as server:
            client = await server.connect()
            assert (await client.ask(GET)).status == 200
            await client.send(request_)
            assert (await client.response()).status == 408
            assert await client.rest() == b""
            assert len(server.seen) == 1

    run(main())


def test_bytes_that_trickle_in_do_not_prolong_a_head(run):
    async def main():
        async with Server(head_timeout=0.1) as server:
            client = await server.connect()
            answer = asyncio.create_task(client.response())
            with contextlib.suppress(ConnectionError):
                await client.send(b"GET / HTTP/1.1\r\nX: ")
                while not answer.done():
                    await client.send(b"x")
                    await asyncio.sleep(0.01)
            assert (await answer).status == 408

    run(main())


def test_no_time_runs_while_the_server_keeps_the_client_waiting(run):
    async def main():
        held = Held()
        async with Server(held, head_timeout=0.6, keep_alive=0.3) as server:
            client = await server.connect()
            await client.send(GET + GET[:10])
            exchange = await held.next()
            slow = await server.connect()
            await slow.send(GET[:10])
            assert (await slow.response()).status == 408  # so this time has passed
            exchange.respond(200, [], b"")
            assert (await client.response()).status == 200
            assert await (await server.connect()).rest() == b""  # so the server has looked at the time since
            await client.send(GET[10:])
            (await held.next()).respond(200, [], b"")
            assert (await client.response()).status == 200

    run(main())


@pytest.mark.parametrize("before", [b"", b"\r\n", GET])
def test_an_idle_connection_is_closed(run, before):
    async def main():
        async with Server(keep_alive=0.5) as server:
            client = await server.connect()
            if before == GET:
                await client.ask(GET)
            else:
                await client.send(before)
            assert await client.rest() == b""

    run(main())


def test_too_many_connections_are_turned_away(run):
    async def main():
        async with Server(connections=2) as server:
            clients = [await server.connect() for _ in range(2)]
            for client in clients:
                assert (await client.ask(GET)).status == 200
            response = await (await server.connect()).response()
            assert response.status == 503
            assert response.headers[b"connection"] == b"close"
            clients[0].writer.close()
            await eventually(lambda: server.http.connections == 1)
            assert (await (await server.connect()).ask(GET)).status == 200

    run(main())


def test_many_connections_at_a_time(run):
    count = 300

    async def main():
        held = Held()
        async with Server(held) as server:
            clients = [await server.connect() for _ in range(count)]
            for i, client in enumerate(clients):
                await client.send(b"GET /%d HTTP/1.1\r\n" % i + HOST + b"\r\n")
            exchanges = [await held.next() for _ in range(count)]
            assert server.http.connections == server.http.in_flight == count
            for exchange in reversed(exchanges):
                exchange.respond(200, [], exchange.path.encode())
            for i, client in enumerate(clients):
                assert (await client.response()).body == b"/%d" % i

    run(main())


def test_a_body_of_100_mib_passes_both_ways():
    size = Limits().body
    assert size == 100 * 1_048_576

    async def main():
        async with Server(lambda exchange: exchange.respond(200, [], exchange.body)) as server:
            client = await server.connect(limit=1_048_576)

            async def upload():
                await client.send(POST + b"Content-Length: %d\r\n\r\n" % size)
                for i in range(100):
                    await client.send(bytes([i]) * 1_048_576)

            sending = asyncio.create_task(upload())
            head = await client.reader.readuntil(b"\r\n\r\n")
            assert b"\r\ncontent-length: %d\r\n" % size in head
            for i in range(100):
                assert await client.reader.readexactly(1_048_576) == bytes([i]) * 1_048_576
            await sending

    asyncio.run(asyncio.wait_for(main(), PATIENCE))


# Clients that leave


@pytest.mark.parametrize("how", ["close", "reset"])
def test_who_works_for_a_client_that_leaves_is_told(run, how):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET + GET)
            exchange = await held.next()
            client.reset() if how == "reset" else client.writer.close()
            await eventually(lambda: held.left)
            assert exchange.respond(200, [], b"too late") is False
            assert held.left == [exchange]
            assert held.exchanges.empty()
            assert server.http.connections == server.http.in_flight == 0

    run(main())


def test_nobody_is_told_after_the_answer(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET)
            (await held.next()).respond(200, [], b"")
            await client.response()
            client.reset()
            await eventually(lambda: server.http.connections == 0)
            assert held.left == []

    run(main())


def test_a_broken_disconnect_callback_is_logged(run, caplog):
    def handle(exchange):
        exchange.on_disconnect = lambda: 1 / 0

    async def main():
        async with Server(handle) as server:
            client = await server.connect()
            await client.send(GET)
            await eventually(lambda: server.seen)
            client.reset()
            await eventually(lambda: server.http.connections == 0)

    with caplog.at_level(logging.ERROR, "worker_ext.transports"):
        run(main())
    assert "The disconnect callback of GET / failed" in caplog.text


@pytest.mark.parametrize("part", [b"GET / HT", POST + b"Content-Length: 9\r\n\r\nhalf", CHUNKED + b"\r\n9\r\nhalf"])
def test_half_a_request_is_not_handed_on(run, part):
    async def main():
        async with Server() as server:
            client = await server.connect()
            await client.send(part)
            await eventually(lambda: server.http.connections == 1)
            client.writer.close()
            await eventually(lambda: server.http.connections == 0)
            assert server.seen == []

    run(main())


# Starting and stopping


def test_draining_closes_idle_connections_and_lets_the_others_finish(run):
    async def main():
        held = Held()
        async with Server(held, linger=60) as server:
            idle, busy, partial = [await server.connect() for _ in range(3)]
            await busy.send(GET + GET)
            await partial.send(GET[:-2])
            exchange = await held.next()
            await eventually(lambda: server.http.connections == 3)
            draining = asyncio.create_task(server.http.drain(PATIENCE))
            assert await idle.rest() == b""
            with pytest.raises(OSError):
                await server.connect()
            exchange.respond(200, [], b"busy")
            for _ in range(3):  # too late; but it must not cost the answer
                await busy.send(GET)
                await server_turn()
            response = await busy.response()
            assert (response.body, response.headers[b"connection"]) == (b"busy", b"close")
            assert await busy.rest() == b""
            await partial.send(GET[-2:])
            (await held.next()).respond(200, [], b"partial")
            assert (await partial.response()).headers[b"connection"] == b"close"
            busy.writer.close()
            assert await draining == 0
            assert server.http.connections == 0

    run(main())


def test_a_connection_that_comes_while_the_server_stops_is_closed(run):
    async def main():
        async with Server() as server:
            with socket.create_connection(server.address) as client:
                client.setblocking(False)
                await server_turn()  # asyncio has accepted it by now, and tells the server in the next
                assert await server.http.drain(PATIENCE) == 0
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.get_running_loop().sock_recv(client, 1) == b""

    run(main())


def test_draining_cuts_off_what_takes_too_long(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET)
            exchange = await held.next()
            assert await server.http.drain(0.05) == 1
            assert await client.rest() == b""
            assert held.left == [exchange]
            assert server.http.connections == 0

    run(main())


def test_closing_takes_no_time(run):
    async def main():
        held = Held()
        async with Server(held) as server:
            client = await server.connect()
            await client.send(GET)
            await held.next()
            server.http.close()
            assert await client.rest() == b""
            await eventually(lambda: held.left)

    run(main())


def test_an_address_in_use_is_an_os_error(run):
    async def main():
        async with Server() as server:
            with pytest.raises(OSError) as caught:
                await server.http.start(*server.address)
            assert caught.value.errno == errno.EADDRINUSE

    run(main())


def test_a_server_can_listen_on_several_addresses(run):
    async def main():
        async with Server() as server:
            first = server.address
            [server.address] = await server.http.start(["127.0.0.1"], 0)
            assert server.address != first
            assert (await (await server.connect()).ask(GET)).status == 200

    run(main())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for localhost with its key, made for this run."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", file, "-out", file], check=True, capture_output=True)
    return file


def test_https(run, certificate):
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(certificate)
    client_side = ssl.create_default_context(cafile=certificate)

    async def main():
        echo = lambda exchange: exchange.respond(200, [], exchange.body)  # noqa: E731
        async with Server(echo, tls=server_side, body=1_000_000, linger=0.05) as server:
            client = await server.connect(ssl=client_side, server_hostname="localhost")
            body = bytes(range(256)) * 3000
            for _ in range(2):
                assert (await client.ask(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)).body == body
            assert (await client.ask(POST + b"Content-Length: 1000001\r\n\r\n")).status == 413
            assert await client.rest() == b""
            closing = await server.connect(ssl=client_side, server_hostname="localhost")
            assert (await closing.ask(GET.replace(HOST, HOST + b"Connection: close\r\n"))).status == 200
            assert await closing.rest() == b""

    run(main())
