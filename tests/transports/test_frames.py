"""Frames: what is encoded is decoded again, however it is cut; what is none is refused."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker_ext.errors import ProtocolError
from worker_ext.transports import frames
from worker_ext.transports.frames import MAX_FRAME, MAX_PARTS, Decoder, Frame, FrameConnection, encode

DEADLINE = 10.0

FRAMES = st.builds(
    Frame,
    kind=st.integers(0, 0xFF),
    call=st.integers(0, 0xFFFF_FFFF),
    parts=st.lists(st.binary(max_size=40), max_size=6),
)


def chunks(data, cuts):
    """Cut ``data`` at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in pairwise(places)]


def decode(pieces):
    decoder = Decoder()
    return [frame for piece in pieces for frame in decoder.feed(piece)]


class TestFormat:
    def test_bytes_on_the_wire(self):
        assert encode(7, 258, [b"ab", b"", b"c"]) == bytes.fromhex(
            "16000000 07 02010000 0300  02000000 00000000 01000000".replace(" ", "")
        ) + b"abc"  # fmt: skip

    @given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 10_000), max_size=8))
    def test_round_trip_however_the_stream_is_cut(self, sent, cuts):
        stream = b"".join(encode(*frame) for frame in sent)
        received = decode(chunks(stream, cuts))
        assert received == sent
        assert all(type(part) is bytes for frame in received for part in frame.parts)

    @given(FRAMES)
    def test_byte_by_byte(self, frame):
        assert decode([bytes([byte]) for byte in encode(*frame)]) == [frame]

    @given(FRAMES, st.data())
    def test_a_frame_is_not_there_before_its_last_byte(self, frame, data):
        stream = encode(*frame)
        assert decode([stream[: data.draw(st.integers(0, len(stream) - 1))]]) == []

    @given(st.lists(st.binary(max_size=60), max_size=6))
    @example([struct.pack("<IBIH", 7, 0, 0, 0)])
    @example([struct.pack("<IBIHI", 11, 0, 0, 1, 1)])
    @example([struct.pack("<IBIHI", 12, 0, 0, 1, 0) + b"x"])
    @example([struct.pack("<IBIHII", 15, 0, 0, 2, 0xFFFF_FFFF, 1)])
    def test_arbitrary_bytes_are_frames_or_a_protocol_error(self, pieces):
        decoder, taken = Decoder(), b""
        try:
            for piece in pieces:
                for frame in decoder.feed(piece):
                    taken += encode(*frame)
        except ProtocolError:
            pass
        assert b"".join(pieces).startswith(taken)  # a frame means the same bytes on either side

    @given(st.integers(0, 0xFFFF_FFFF), st.integers(0, 0xFFFF), st.binary(max_size=64))
    def test_so_are_arbitrary_sizes(self, size, count, rest):
        try:
            for frame in decode([struct.pack("<IBIH", size, 0, 0, count) + rest]):
                assert len(encode(*frame)) == 4 + size
        except ProtocolError:
            pass


class TestLimits:
    @pytest.mark.parametrize(
        ("size", "count"),
        [
            (MAX_FRAME + 1, 0),
            (0xFFFF_FFFF, 0xFFFF),
            (6, 0),  # smaller than its own head
            (0, 0),
            (7 + 4 * 3 - 1, 3),  # no room for the lengths of its parts
        ],
    )
    def test_impossible_announcements_are_refused_at_once(self, size, count):
        head = struct.pack("<IBIH", size, 1, 0, count)
        tracemalloc.start()
        try:
            with pytest.raises(ProtocolError, match="cannot be"):
                decode([head])
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()

    def test_a_large_announcement_allocates_nothing_until_it_arrives(self):
        tracemalloc.start()
        try:
            assert decode([struct.pack("<IBIHI", MAX_FRAME, 1, 0, 1, MAX_FRAME - 11)]) == []
            assert tracemalloc.get_traced_memory()[1] < 100_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("lengths", [[0], [2], [0, 0xFFFF_FFFF], [0xFFFF_FFFF, 2]])
    def test_parts_must_fill_the_frame(self, lengths):
        head = struct.pack(f"<IBIH{len(lengths)}I", 7 + 4 * len(lengths) + 1, 1, 0, len(lengths), *lengths)
        with pytest.raises(ProtocolError, match="do not add up"):
            decode([head + b"x"])

    def test_what_is_too_large_is_not_sent(self, monkeypatch):
        monkeypatch.setattr(frames, "MAX_FRAME", 7 + 4 + 10)
        assert encode(0, 0, [b"x" * 10])
        with pytest.raises(ProtocolError, match="larger than"):
            encode(0, 0, [b"x" * 11])

    def test_nor_what_has_too_many_parts(self):
        assert decode([encode(0, 0, [b""] * MAX_PARTS)]) == [Frame(0, 0, [b""] * MAX_PARTS)]
        with pytest.raises(ProtocolError, match="larger than"):
            encode(0, 0, [b""] * (MAX_PARTS + 1))

    def test_the_largest_body_arrives_in_linear_time(self):
        """In pieces as a socket gives them; a decoder that looked at old bytes again would take minutes."""
        body = bytes(100 * 1024 * 1024)
        stream = memoryview(encode(3, 4, [b"head", body]))
        decoder, received = Decoder(), []
        begun = time.process_time()
        for at in range(0, len(stream), 65536):
            received += decoder.feed(bytes(stream[at : at + 65536]))
        assert time.process_time() - begun < 5
        assert received == [Frame(3, 4, [b"head", body])]

    def test_many_small_frames_arrive_in_linear_time(self):
        stream = encode(1, 2, [b"x"]) * 100_000
        decoder, count = Decoder(), 0
        begun = time.process_time()
        for at in range(0, len(stream), 1000):  # never at the end of a frame
            count += sum(1 for _ in decoder.feed(stream[at : at + 1000]))
        assert count == 100_000
        assert time.process_time() - begun < 5


class End:
    """One end of a connection, and what happened there."""

    def __init__(self, on_frame=None):
        self.frames = []
        self.lost = []
        self.changed = asyncio.Event()
        self.connection = FrameConnection(self._on_frame, self._on_lost)
        self._then = on_frame

    def _on_frame(self, connection, frame):
        assert connection is self.connection
        self.frames.append(frame)
        self.changed.set()
        if self._then is not None:
            self._then(connection, frame)

    def _on_lost(self, connection, error):
        assert connection is self.connection
        self.lost.append(error)
        self.changed.set()

    async def until(self, condition):
        while not condition(self):
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request):
    """Runs a coroutine on each kind of loop that the host or a worker may have."""
    factory = asyncio.new_event_loop
    if request.param == "uvloop":
        factory = pytest.importorskip("uvloop").new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        yield lambda coroutine: runner.run(asyncio.wait_for(coroutine, DEADLINE))


async def connected(*ends):
    """Connect two ends; an end may be a function that is told of each frame."""
    loop = asyncio.get_running_loop()
    for end, sock in zip(ends, socket.socketpair(), strict=True):
        await loop.create_connection(lambda end=end: end.connection, sock=sock)


class TestConnection:
    def test_both_ends_send_and_receive(self, run):
        async def main():
            one, other = End(), End(lambda connection, frame: connection.send(2, frame.call, [*frame.parts, b"back"]))
            await connected(one, other)
            for call in range(3):
                one.connection.send(1, call, [b"there"])
            await one.until(lambda end: len(end.frames) == 3)
            assert one.frames == [Frame(2, call, [b"there", b"back"]) for call in range(3)]

        run(main())

    @pytest.mark.parametrize("size", [10, 300_000])
    def test_frames_that_threads_send_arrive_whole_and_in_each_threads_order(self, run, size):
        """Larger ones do not fit into the socket's buffer: what is left of them goes by way of the loop."""

        async def main():
            one, other = End(), End()
            await connected(one, other)

            def send(thread):
                for number in range(20):
                    one.connection.send(thread, number, [bytes([thread]) * size])

            jobs = [asyncio.to_thread(send, thread) for thread in range(1, 5)]
            send(5)
            await asyncio.gather(*jobs)
            send(6)
            await other.until(lambda end: len(end.frames) == 120)
            for thread in range(1, 7):
                mine = [frame for frame in other.frames if frame.kind == thread]
                assert [frame.call for frame in mine] == list(range(20))
                assert {frame.parts[0] for frame in mine} == {bytes([thread]) * size}

        run(main())

    def test_a_thread_does_not_wait_for_the_loop(self, run):
        async def main():
            one, other = End(), End()
            await connected(one, other)
            sent = threading.Event()
            thread = threading.Thread(target=lambda: (one.connection.send(1, 2, [b"x"]), sent.set()))
            thread.start()
            assert sent.wait(DEADLINE)  # while the loop is held up here
            await other.until(lambda end: end.frames)
            assert other.frames == [Frame(1, 2, [b"x"])]

        run(main())

    def test_what_is_left_of_a_frame_goes_before_all_that_comes_later(self, run):
        async def main():
            one, loop = End(), asyncio.get_running_loop()
            near, far = socket.socketpair()
            await loop.create_connection(lambda: one.connection, sock=near)

            def send_elsewhere(kind, part):
                thread = threading.Thread(target=one.connection.send, args=(kind, 0, [part]))
                thread.start()
                thread.join()  # while the loop is held up

            send_elsewhere(1, bytes(3_000_000))  # more than fits
            decoder, received = Decoder(), []
            received += decoder.feed(far.recv(100_000))  # now there is room
            send_elsewhere(2, b"x")
            one.connection.send(3, 0, [b"y"])
            far.setblocking(False)
            while len(received) < 3:
                received += decoder.feed(await loop.sock_recv(far, 1_000_000))
            assert [frame.kind for frame in received] == [1, 2, 3]
            far.close()

        run(main())

    def test_everything_that_was_sent_arrives_before_the_end(self, run):
        body = bytes(3_000_000)

        async def main():
            one, other = End(), End()
            await connected(one, other)
            one.connection.send(1, 0, [body])
            await asyncio.to_thread(one.connection.send, 2, 0, [body])
            one.connection.close()
            await other.until(lambda end: end.lost)
            assert other.frames == [Frame(1, 0, [body]), Frame(2, 0, [body])]
            await one.until(lambda end: end.lost)
            assert one.lost == other.lost == [None]

        run(main())

    def test_also_what_was_sent_while_a_frame_was_being_handled(self, run):
        async def main():
            def answer_and_close(connection, frame):
                connection.send(2, 0, [b"the last"])
                connection.close()

            one, other = End(), End(answer_and_close)
            await connected(one, other)
            one.connection.send(1, 0, [])
            await one.until(lambda end: end.lost)
            assert one.frames == [Frame(2, 0, [b"the last"])]

        run(main())

    def test_what_is_sent_after_the_end_is_dropped(self, run):
        async def main():
            one, other = End(), End()
            await connected(one, other)
            other.connection.close()
            await one.until(lambda end: end.lost)
            one.connection.send(1, 0, [b"x"])
            await asyncio.to_thread(one.connection.send, 1, 0, [b"x"])
            one.connection.close()
            assert one.lost == [None]

        run(main())

    @pytest.mark.parametrize("announced", [struct.pack("<IBIH", MAX_FRAME + 1, 1, 0, 0), b"\0" * 11])
    def test_the_end_is_told_once_if_the_other_side_breaks_the_protocol(self, run, announced):
        async def main():
            one = End()
            sock, far = socket.socketpair()
            await asyncio.get_running_loop().create_connection(lambda: one.connection, sock=sock)
            far.sendall(encode(1, 2, [b"fine"]) + announced + encode(1, 3, [b"too late"]))
            await one.until(lambda end: end.lost)
            for _ in range(5):
                await asyncio.sleep(0)
            assert one.frames == [Frame(1, 2, [b"fine"])]
            (error,) = one.lost
            assert isinstance(error, ProtocolError)
            far.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(far, 1) == b""
            far.close()

        run(main())

    def test_so_it_is_if_the_owner_finds_a_frame_wrong(self, run):
        async def main():
            def refuse(connection, frame):
                raise ProtocolError("no")

            one, other = End(refuse), End()
            await connected(one, other)
            other.connection.send(1, 0, [])
            other.connection.send(1, 1, [])
            await one.until(lambda end: end.lost)
            await other.until(lambda end: end.lost)
            assert [str(error) for error in one.lost] == ["no"]
            assert len(one.frames) == 1

        run(main())

    def test_the_one_who_is_told_may_change(self, run):
        async def main():
            handled = []

            def introduce(connection, frame):
                connection.on_frame = lambda _, frame: handled.append(frame)

            one, other = End(introduce), End()
            await connected(one, other)
            other.connection.send(1, 0, [])
            other.connection.send(2, 0, [])
            other.connection.close()
            await one.until(lambda end: end.lost)
            assert [frame.kind for frame in one.frames] == [1]
            assert [frame.kind for frame in handled] == [2]

        run(main())
