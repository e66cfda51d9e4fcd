"""A child process: its lines, its end, and what it leaves behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from support.hosting import wait_until

from worker_ext.host.child_process import ChildProcess

needs_posix = pytest.mark.skipif(sys.platform == "win32", reason="needs process groups")


class Child:
    """A process that runs some Python; its lines and its status."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.process = ChildProcess(self.lines.append, self.status.set_result)

    def start(self, source: str) -> None:
        self.process.start([sys.executable, "-c", source], cwd=Path.cwd(), environ=os.environ)


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:  # in a container, nobody may wait for it
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return False


def run(source: str, *, kill: bool = False) -> tuple[int, list[str]]:
    async def main() -> tuple[int, list[str]]:
        child = Child()
        child.start(source)
        if kill:
            while not child.lines:
                await asyncio.sleep(0.005)
            child.process.kill()
        return await asyncio.wait_for(child.status, 10), child.lines

    return asyncio.run(main())


def test_lines_of_both_streams_and_the_exit_status() -> None:
    source = (
        "import os, sys\nos.write(1, b'one\\r\\n')\nos.write(2, b'two\\nthr')\nos.write(1, b'ee\\n\\xff')\nsys.exit(3)"
    )
    assert run(source) == (3, ["one", "two", "three", "�"])


def test_a_line_without_end_is_shown_in_pieces_and_not_collected() -> None:
    status, lines = run("import os\nfor _ in range(64): os.write(1, b'x' * 4096)")
    assert (status, sum(map(len, lines))) == (0, 64 * 4096)
    assert max(map(len, lines)) < 200_000


@needs_posix
def test_a_signal_shows_as_a_negative_status() -> None:
    assert run("print('up', flush=True)\nimport time\ntime.sleep(1000)", kill=True) == (-9, ["up"])


@needs_posix
def test_what_it_has_started_ends_with_it() -> None:
    source = """if True:
        import subprocess, sys
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])
        print(child.pid, flush=True)
    """
    status, [pid] = run(source)
    assert status == 0
    wait_until(lambda: _has_ended(int(pid)), "the end of the child's child")


@needs_posix
def test_its_end_is_noticed_although_its_output_is_held_open() -> None:
    """By what has left its group, and so outlives it."""
    source = """if True:
        import subprocess, sys
        child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'], start_new_session=True)
        print(child.pid, flush=True)
    """
    status, [pid] = run(source)
    assert status == 0
    assert not _has_ended(int(pid))
    os.kill(int(pid), signal.SIGKILL)


def test_a_program_that_is_not_there_is_an_os_error() -> None:
    async def main() -> None:
        child = Child()
        with pytest.raises(OSError):
            child.process.start(["/nowhere/python"], cwd=Path.cwd(), environ=os.environ)
        child.process.kill()  # does nothing
        assert child.process.pid == 0

    asyncio.run(main())
