"""Workers that misbehave, and limits of number and time: a supervisor in this process, workers that a test scripts."""

from __future__ import annotations

import asyncio
import io
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from support.hosting import DEADLINE

from worker_ext.errors import IndexingError, InvocationError, WorkerBusy, WorkerLost
from worker_ext.host.call import Call, Result
from worker_ext.host.console import Console
from worker_ext.host.supervisor import Policy, Supervisor
from worker_ext.host.worker_process import WorkerCommand
from worker_ext.invocation import LogRecord

ROOT = Path(__file__).resolve().parents[2]
QUICK = Policy(
    waiting_time=5.0, connect_timeout=5.0, cancel_grace=0.1, exit_grace=0.2, stop_grace=2.0, backoff=(0.01, 0.05)
)

# What a scripted worker can use. Its arguments are those that the host gives: boot.py, the address, kind, folder.
PRELUDE = """
import os, socket, sys, time
sys.path.insert(0, {root!r})
from worker_ext.runtimes.protocol import COUNT, RESULT_HEAD, Kind, pack_json
from worker_ext.transports.frames import Decoder, encode

SECRET = os.environ["WORKER_EXT_SECRET"].encode()
APP = pack_json({{"functions": [], "problems": [], "extensions": []}})

class Host:
    def __init__(self):
        kind, _, path = sys.argv[2].partition(":")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(path)
        self.decoder = Decoder()

    def send(self, kind, call=0, *parts):
        self.socket.sendall(encode(kind, call, list(parts)))

    def frames(self):
        while data := self.socket.recv(65536):
            yield from self.decoder.feed(data)

    def serve(self):
        for frame in self.frames():
            if frame.kind == Kind.STOP:
                break
            if frame.kind == Kind.INVOKE:
                self.send(Kind.RESULT, frame.call, RESULT_HEAD.pack(0, 0, 200), str(os.getpid()).encode())

    def introduce(self):
        self.send(Kind.HELLO, 0, SECRET, b"{{}}")

host = Host()
"""
WELL_BEHAVED = "host.introduce()\nhost.send(Kind.READY, 0, APP)\nhost.serve()\n"

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the scripted workers speak to a Unix socket")


class Bench:
    """A supervisor, what it has told, and the means to give it calls."""

    def __init__(self, script: Path, policy: Policy, arguments: tuple[str, ...] = ()) -> None:
        self._stream = io.StringIO()
        self._script = script
        self.policy = policy
        self.loaded: list[dict[str, Any]] = []
        self.broken: list[tuple[str, bool]] = []
        self.deadly: list[str] = []
        self.logged: list[str] = []
        self.starts = 0
        self.supervisor = Supervisor(self._command, policy, Console(self._stream, verbose=True), self)

    def _command(self) -> WorkerCommand:
        self.starts += 1
        environ = {**os.environ, "START": str(self.starts)}
        return _Scripted(sys.executable, [str(self._script)], "azure", self._script.parent, environ)

    def app_loaded(self, app: dict[str, Any]) -> None:
        self.loaded.append(app)

    def app_broken(self, error: IndexingError, *, still_serving: bool) -> None:
        self.broken.append((error.message, still_serving))

    def app_deadly(self, reason: str) -> None:
        self.deadly.append(reason)

    def call_logged(self, call: Call, records: list[LogRecord]) -> None:
        self.logged += [record.message for record in records]

    @property
    def console(self) -> str:
        return self._stream.getvalue()

    def submit(self) -> asyncio.Future[Result | InvocationError]:
        future: asyncio.Future[Result | InvocationError] = asyncio.get_running_loop().create_future()
        self.supervisor.submit(Call("hello", "id", [], lambda _, outcome: future.set_result(outcome)))
        return future

    async def call(self) -> Result | InvocationError:
        return await asyncio.wait_for(self.submit(), DEADLINE)

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(DEADLINE):
            while not condition():
                await asyncio.sleep(0.005)

    async def shown(self, text: str, count: int = 1) -> None:
        try:
            await self.until(lambda: self.console.count(text) >= count)
        except TimeoutError:
            raise AssertionError(f"{text!r} was not shown:\n{self.console}") from None


class _Scripted(WorkerCommand):
    """The script stands where arguments for Python do; still it is no worker in a debugger."""

    @property
    def debugged(self) -> bool:
        return False


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a worker: what it does after it has connected."""

    def write(source: str, *, connect: bool = True) -> Path:
        path = tmp_path / "worker.py"
        prelude = PRELUDE.format(root=str(ROOT)) if connect else "import time\n"
        path.write_text(prelude + textwrap.dedent(source))
        return path

    return write


Script = Callable[..., Path]


@asynccontextmanager
async def bench(script: Path, policy: Policy = QUICK) -> AsyncIterator[Bench]:
    running = Bench(script, policy)
    await running.supervisor.start()
    try:
        yield running
    finally:
        running.supervisor.kill()
        await running.supervisor.close()


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


def pid(outcome: Result | InvocationError) -> int:
    assert isinstance(outcome, Result), outcome
    return int(outcome.parts[0])


@in_loop
async def test_a_worker_serves_calls_that_came_before_it_was_ready(script: Script) -> None:
    async with bench(script(WELL_BEHAVED)) as it:
        early = it.submit()
        assert not early.done()
        assert pid(await early) == pid(await it.call())
        assert len(it.loaded) == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        "host.socket.sendall(b'GET / HTTP/1.1' * 100)",
        "host.send(99)",
        "host.send(Kind.RESULT, 1)",
        "host.send(Kind.RESULT, 1, b'x')",
        "host.send(Kind.RESULT, 1, RESULT_HEAD.pack(5, 0, 200))",
        "host.send(Kind.FAILURE, 1, COUNT.pack(0))",
        "host.send(Kind.FAILURE, 1, COUNT.pack(0), b'\\xff', b'', b'')",
        "host.send(Kind.LOG, 0, b'', b'not a level', b'', b'')",
        "host.send(Kind.READY, 0, APP)",
        "host.send(Kind.BROKEN, 0, b'{}')",
        "host.send(Kind.HELLO, 0, SECRET)",
        "host.send(Kind.STOP)",
    ],
)
@in_loop
async def test_a_worker_that_sends_nonsense_is_ended_and_replaced(script: Script, nonsense: str) -> None:
    source = f"""
    host.introduce()
    host.send(Kind.READY, 0, APP)
    if os.environ["START"] == "1":
        next(host.frames())
        {nonsense}
        time.sleep(1000)
    host.serve()
    """
    async with bench(script(source)) as it:
        outcome = await it.call()
        assert isinstance(outcome, WorkerLost)
        assert "because it sent what makes no sense" in str(outcome)
        assert pid(await it.call())


@pytest.mark.parametrize(
    "nonsense",
    [
        "host.send(Kind.READY, 0)",
        "host.send(Kind.READY, 0, b'{')",
        "host.send(Kind.BROKEN, 0, b'[]')",
        "host.send(Kind.BROKEN, 0, b'{}')",
    ],
)
@in_loop
async def test_so_is_one_that_does_before_it_is_ready(script: Script, nonsense: str) -> None:
    source = f"""
    host.introduce()
    if os.environ["START"] == "1":
        {nonsense}
        time.sleep(1000)
    host.send(Kind.READY, 0, APP)
    host.serve()
    """
    async with bench(script(source)) as it:
        assert pid(await it.call())
        assert "because it sent what makes no sense" in it.console
        assert it.broken == []


@pytest.mark.parametrize(
    "hello", ["host.send(Kind.HELLO, 0, b'guess')", "host.send(Kind.HELLO)", "host.send(Kind.READY, 0, APP)"]
)
@in_loop
async def test_nobody_is_taken_for_a_worker_without_its_secret(script: Script, hello: str) -> None:
    source = f"""
    {hello}
    assert host.socket.recv(1) == b""  # turned away
    host = Host()
    host.introduce()
    twin = Host()
    twin.introduce()
    assert twin.socket.recv(1) == b""  # there is one already
    host.send(Kind.READY, 0, APP)
    host.serve()
    """
    async with bench(script(source)) as it:
        assert pid(await it.call())
        assert it.starts == 1


@in_loop
async def test_a_worker_that_never_connects_is_ended(script: Script) -> None:
    policy = Policy(connect_timeout=0.2, backoff=(0.01, 0.01))
    async with bench(script("time.sleep(1000)", connect=False), policy) as it:
        await it.shown("did not connect to the host within 0.2 s and was ended; a new one starts in 0.01 s", count=2)


@in_loop
async def test_a_worker_that_loads_for_long_is_left_alone(script: Script) -> None:
    source = "host.introduce()\ntime.sleep(2)\nhost.send(Kind.READY, 0, APP)\nhost.serve()\n"
    async with bench(script(source), Policy(connect_timeout=1.5)) as it:
        assert pid(await it.call())
        assert it.starts == 1


@in_loop
async def test_a_worker_that_loses_its_connection_is_ended(script: Script) -> None:
    source = """
    host.introduce()
    host.send(Kind.READY, 0, APP)
    if os.environ["START"] == "1":
        next(host.frames())
        host.socket.close()
        time.sleep(1000)
    host.serve()
    """
    async with bench(script(source)) as it:
        assert isinstance(await it.call(), WorkerLost)
        assert pid(await it.call())


@in_loop
async def test_pauses_grow_while_workers_die_and_begin_anew_after_a_steady_one(script: Script) -> None:
    source = """
    if os.environ["START"] == "4":
        time.sleep(2.1)
    sys.exit(5)
    """
    policy = Policy(backoff=(0.01, 0.03), steady=2.0)
    async with bench(script(source), policy) as it:
        await it.shown("a new one starts in", count=5)
        pauses = [line.rpartition(" in ")[2] for line in it.console.splitlines() if "a new one" in line]
        assert pauses[:5] == ["0.01 s.", "0.02 s.", "0.03 s.", "0.01 s.", "0.02 s."]


@in_loop
async def test_an_end_while_the_app_is_loaded_is_told_as_such_and_its_remedy_once_an_edition(script: Script) -> None:
    async with bench(script("host.introduce()\nsys.exit(5)\n")) as it:
        await it.shown("ended with exit status 5 while it was loading the app; a new one starts in", count=3)
        it.supervisor.reload(it.policy)
        await it.until(lambda: len(it.deadly) == 2)
        assert all("while it was loading the app" in reason for reason in it.deadly)


@in_loop
async def test_an_end_after_the_app_has_been_loaded_is_not_blamed_on_it(script: Script) -> None:
    async with bench(script("host.introduce()\nhost.send(Kind.READY, 0, APP)\nsys.exit(5)\n")) as it:
        await it.shown("ended with exit status 5; a new one starts in")
        assert it.deadly == []


@in_loop
async def test_calls_wait_within_limits_of_number_and_time(script: Script) -> None:
    policy = Policy(waiting_calls=2, waiting_time=0.2)
    async with bench(script("host.introduce()\ntime.sleep(1000)\n"), policy) as it:
        waiting = [it.submit(), it.submit()]
        refused = await it.call()
        assert isinstance(refused, WorkerBusy)
        assert "2 invocations are waiting for a worker already" in str(refused)
        assert it.supervisor.running == 2
        for call in waiting:
            assert str(await asyncio.wait_for(call, DEADLINE)) == "no worker became ready within 0.2 s"


def broken_from(edition: int, *, until: int = 1000) -> str:
    """A worker that can load its app before the start of that number, and after the other."""
    return f"""
    host.introduce()
    if {edition} <= int(os.environ["START"]) < {until}:
        host.send(Kind.BROKEN, 0, pack_json({{"message": "a mistake"}}))
        host.socket.close()
        sys.exit()
    host.send(Kind.READY, 0, APP)
    host.serve()
    """


@in_loop
async def test_a_broken_app_is_told_once_and_calls_fail_at_once(script: Script) -> None:
    async with bench(script(broken_from(1)), Policy(processes=2)) as it:
        early = it.submit()
        assert "cannot be loaded: a mistake" in str(await early)
        assert "cannot be loaded: a mistake" in str(await it.call())
        await it.shown("could not load the app", count=2)
        assert it.broken == [("a mistake", False)]
        assert it.starts == 1  # for both workers; nothing is tried again


@in_loop
async def test_a_broken_edition_leaves_the_one_before_until_that_dies(script: Script) -> None:
    async with bench(script(broken_from(2, until=3))) as it:
        first = pid(await it.call())
        it.supervisor.reload(it.policy)
        await it.until(lambda: it.broken)
        assert it.broken == [("a mistake", True)]
        assert pid(await it.call()) == first
        os.kill(first, 9)
        await it.until(lambda: len(it.broken) == 2)
        assert it.broken[1] == ("a mistake", False)
        assert "cannot be loaded: a mistake" in str(await it.call())
        it.supervisor.reload(it.policy)
        await it.until(lambda: len(it.loaded) == 2)
        assert pid(await it.call()) != first


@in_loop
async def test_an_edition_that_was_served_and_cannot_be_loaded_again_is_tried_until_it_can(script: Script) -> None:
    """A database that the app needs while it is loaded may be down for a while."""
    async with bench(script(broken_from(2, until=4))) as it:
        os.kill(pid(await it.call()), 9)
        await it.shown("was ended by SIGKILL")
        assert pid(await it.call())
        assert it.console.count("could not load the app; a new one starts in") == 2
        assert it.broken == []


@in_loop
async def test_reloads_while_workers_start_end_with_one_worker_of_the_last(script: Script) -> None:
    async with bench(script(WELL_BEHAVED)) as it:
        for number in range(10):
            it.supervisor.reload(it.policy)
            await asyncio.sleep(0.01 * (number % 3))
        assert pid(await it.call())
        await it.until(lambda: len(it.supervisor._workers) == 1)
        assert "a new one starts" not in it.console  # nothing has died; it has been ended


@in_loop
async def test_a_worker_that_dies_during_a_reload_costs_nothing_but_its_calls(script: Script) -> None:
    async with bench(script(WELL_BEHAVED)) as it:
        first = pid(await it.call())
        it.supervisor.reload(it.policy)
        os.kill(first, 9)
        await it.shown("was ended by SIGKILL")
        assert pid(await it.call()) != first
        assert "a new one starts" not in it.console
        assert len(it.supervisor._workers) == 1


@in_loop
async def test_a_reload_can_change_the_number_of_workers(script: Script) -> None:
    async with bench(script(WELL_BEHAVED)) as it:
        await it.call()
        for processes in (3, 1):
            it.supervisor.reload(Policy(processes=processes))
            await it.until(
                lambda: sum(w.ready for w in it.supervisor._workers) == len(it.supervisor._workers) == processes
            )


@in_loop
async def test_a_worker_that_does_not_end_when_it_is_told_to_is_ended(script: Script) -> None:
    source = "host.introduce()\nhost.send(Kind.READY, 0, APP)\nhost.serve()\ntime.sleep(1000)\n"
    async with bench(script(source)) as it:
        first = pid(await it.call())
        it.supervisor.reload(it.policy)
        await it.shown(f"Worker process {first} was ended by SIGKILL.")
        assert pid(await it.call()) != first


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.05, 0.1])
@in_loop
async def test_stopping_while_a_worker_starts_leaves_no_process(script: Script, moment: float) -> None:
    running = Bench(script(WELL_BEHAVED), Policy(stop_grace=1000, exit_grace=1000))
    await running.supervisor.start()
    await asyncio.sleep(moment)
    started = list(running.supervisor._workers)
    call = running.submit()
    await asyncio.wait_for(running.supervisor.close(), 5)
    assert (await call) is not None
    assert isinstance(await running.call(), WorkerBusy)
    for worker in started:
        assert worker.pid > 0
        with pytest.raises(ProcessLookupError):
            os.kill(worker.pid, 0)


@in_loop
async def test_calls_that_do_not_end_are_cut_off_when_the_host_stops(script: Script) -> None:
    source = "host.introduce()\nhost.send(Kind.READY, 0, APP)\nfor _ in host.frames():\n    pass\n"
    async with bench(script(source), Policy(stop_grace=0.2)) as it:
        await it.until(lambda: it.loaded)
        call = it.submit()
        await asyncio.wait_for(it.supervisor.close(), DEADLINE)
        assert isinstance(await call, WorkerLost)
        assert "1 running invocations did not finish in time" in it.console


@in_loop
async def test_a_worker_that_cannot_be_interrupted_is_replaced_and_ended_at_once(script: Script) -> None:
    source = """
    host.introduce()
    host.send(Kind.READY, 0, APP)
    if os.environ["START"] == "1":
        time.sleep(1000)
    host.serve()
    """
    policy = Policy(function_timeout=0.5, cancel_grace=0.1, exit_grace=1000)
    async with bench(script(source), policy) as it:
        await it.until(lambda: it.loaded)
        [stuck] = it.supervisor._workers
        outcome = await it.call()
        assert str(outcome) == "hello did not finish within the functionTimeout of 0.5 s"
        await it.shown(f"hello cannot be interrupted; worker process {stuck.pid} is being replaced")
        await it.shown(f"Worker process {stuck.pid} was ended by SIGKILL")
        assert pid(await it.call()) != stuck.pid


@in_loop
async def test_a_mistake_in_the_delivery_of_an_answer_costs_no_other_call(script: Script) -> None:
    source = "host.introduce()\nhost.send(Kind.READY, 0, APP)\nnext(host.frames())\nsys.exit(1)\n"
    async with bench(script(source)) as it:

        def fail(call: Call, outcome: object) -> None:
            raise AssertionError("a mistake")

        it.supervisor.submit(Call("hello", "id", [], fail))
        other = it.submit()
        assert isinstance(await asyncio.wait_for(other, DEADLINE), WorkerLost)
        await it.shown("ended with exit status 1; a new one starts")


@in_loop
async def test_a_call_too_large_for_the_protocol_fails_alone(script: Script) -> None:
    async with bench(script(WELL_BEHAVED)) as it:
        first = pid(await it.call())
        outcome: list[Any] = []
        it.supervisor.submit(Call("hello", "id", [b""] * 70_000, lambda _, answer: outcome.append(answer)))
        assert "larger than the protocol allows" in str(outcome[0])
        assert pid(await it.call()) == first
