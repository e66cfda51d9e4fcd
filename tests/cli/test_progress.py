"""What long work shows."""

from __future__ import annotations

import io
import sys

import pytest
from support.terminal import Terminal

from worker_ext.cli.progress import Step


class TestWithoutATerminal:
    def test_a_line_at_the_beginning_and_one_at_the_end(self):
        stream = io.StringIO()
        with Step("Packing app", stream) as step:
            assert stream.getvalue() == "Packing app...\n"
            step.tell("a file")
        _, second = stream.getvalue().splitlines()
        assert second.startswith("Packing app: done, ")

    @pytest.mark.parametrize(("error", "outcome"), [(ValueError, "failed"), (KeyboardInterrupt, "stopped")])
    def test_how_it_ended(self, error, outcome):
        stream = io.StringIO()
        with pytest.raises(error), Step("Packing app", stream):
            raise error
        assert stream.getvalue().splitlines()[1].startswith(f"Packing app: {outcome}, ")


WORK = """
import sys
from worker_ext.cli.progress import Step

with Step("Packing app") as step:
    step.tell("a/very/long/name" * 20)
    sys.stdin.readline()
print("after it")
"""


@pytest.mark.parametrize(("encoding", "frame"), [("utf-8", "\u2839"), ("ascii", "|")])
def test_on_a_terminal_one_line_moves_and_is_gone_in_the_end(tmp_path, encoding, frame):
    with Terminal([sys.executable, "-c", WORK], cwd=tmp_path, environ={"PYTHONIOENCODING": encoding}) as terminal:
        terminal.wait_for(f"{frame} Packing app: a/very/long/name")
        terminal.wait_for("...\r")  # cut to the terminal's width
        terminal.type("\n")
        assert terminal.wait() == 0
        terminal.wait_for("after it")
        assert "\rPacking app: done, " in terminal.shown


def test_an_app_that_takes_its_time_to_load_is_waited_for_aloud(tmp_path):
    from support.hosting import running_host, write_app

    write_app(tmp_path, {"function_app.py": "import time\ntime.sleep(60)\n"})
    with running_host(tmp_path, ready=None) as host:
        host.wait_for(r"Waiting for the worker process to load the app \(5 s\)\.")
