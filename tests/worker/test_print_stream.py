"""What is printed becomes log lines."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import subprocess
import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.invoking import DEADLINE

from worker_ext.worker.logs import LONGEST_LINE, LogCollector, PrintStream


@pytest.fixture
def out(worker):
    """Stands in for the standard output of the worker's process."""
    return PrintStream(worker.logs, sys.__stdout__)


@pytest.fixture
def printed(worker, out):
    """What the lines are that some code prints within an invocation."""

    def run(write):
        with contextlib.redirect_stdout(out):
            return worker.invoke(worker.load(lambda req, context: write())).messages

    return run


@pytest.mark.parametrize(
    ("write", "lines"),
    [
        (lambda: print("one"), ["one"]),
        (lambda: print("one", "two", sep="\n"), ["one", "two"]),
        (lambda: print(), [""]),
        (lambda: print("one", end="\r\n"), ["one"]),
        (lambda: (print("be", end=""), print("gun")), ["begun"]),
        (lambda: print("no end", end=""), ["no end"]),
        (lambda: (print("sent", end="", flush=True), print("rest")), ["sent", "rest"]),
        (lambda: print("", end="", flush=True), []),
        (lambda: sys.stdout.writelines(["one\n", "two", "\n"]), ["one", "two"]),
        (lambda: json.dump({"one": [1, 2]}, sys.stdout), ['{"one": [1, 2]}']),
        (lambda: sys.stdout.write("x" * (LONGEST_LINE + 1)), ["x" * LONGEST_LINE + "... (1 more characters)"]),
        (lambda: sys.stdout.write("\ud800é"), ["\ud800é"]),
    ],
)
def test_lines(printed, write, lines):
    assert printed(write) == lines


@given(st.lists(st.text(alphabet="ab\n\r", max_size=8)))
def test_however_text_is_divided_it_makes_the_same_lines(pieces):
    lines = []
    with asyncio.Runner() as runner:
        ship = lambda owner, records: lines.extend(record.message for record in records)  # noqa: E731
        collector = LogCollector(runner.get_loop(), ship)
        stream = PrintStream(collector, sys.__stdout__)
        for piece in pieces:
            assert stream.write(piece) == len(piece)
        stream.flush()
        collector.flush_all()
    *expected, rest = "".join(pieces).split("\n")
    expected += [rest] if rest else []
    assert lines == [line.removesuffix("\r") for line in expected]


def test_invocations_that_take_turns_do_not_mix_their_lines(worker, out):
    async def main(req, context):
        for part in "abc":
            print(f"{part}{req}", end=" ", file=out)
            await asyncio.sleep(0)
        print(file=out)

    function = worker.load(main)

    async def call_both():
        return await asyncio.gather(worker.start(function, 1), worker.start(function, 2))

    assert [answer.messages for answer in worker.run(call_both())] == [["a1 b1 c1 "], ["a2 b2 c2 "]]


def test_threads_do_not_mix_their_lines(worker, out):
    barrier = threading.Barrier(8)

    def write(number):
        barrier.wait(DEADLINE)
        for i in range(50):
            print(number, i, sep="-", file=out)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(worker.messages()) == sorted(f"{number}-{i}" for number in range(8) for i in range(50))


def test_standard_output_and_error_do_not_mix(worker, out, printed):
    err = PrintStream(worker.logs, sys.__stderr__)

    def write():
        print("o", end="")
        print("e", end="", file=err)
        print("ut")
        print("rr", file=err)

    assert printed(write) == ["out", "err"]


class TestAsAStream:
    """What libraries ask of a standard stream."""

    def test_it_is_a_text_stream_and_no_terminal(self, out):
        assert isinstance(out, io.TextIOBase)
        assert out.writable()
        assert not out.readable()
        assert not out.isatty()
        assert (out.encoding, out.errors) == ("utf-8", "backslashreplace")

    def test_only_text_can_be_written(self, out):
        with pytest.raises(TypeError):
            out.write(b"bytes")

    def test_it_can_be_reconfigured(self, out):
        out.reconfigure(encoding="utf-8", line_buffering=True)

    def test_closing_it_does_not_end_printing(self, out, printed):
        assert printed(lambda: (sys.stdout.close(), print("still there"))) == ["still there"]

    def test_it_can_be_redirected(self, printed):
        target = io.StringIO()

        def write():
            with contextlib.redirect_stdout(target):
                print("there")
            print("here")

        assert printed(write) == ["here"]
        assert target.getvalue() == "there\n"

    def test_what_is_beneath_it(self, worker, tmp_path):
        with open(tmp_path / "beneath", "w") as beneath:
            stream = PrintStream(worker.logs, beneath)
            assert stream.name == beneath.name
            stream.buffer.write(b"bytes\n")
            stream.buffer.flush()
            subprocess.run([sys.executable, "-c", "print('child')"], stdout=stream, check=True)
        assert (tmp_path / "beneath").read_text() == "bytes\nchild\n"
