"""The life of a worker process: what user code may do to it, and how it ends."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import wait_until, write_app
from support.worker_driving import DEADLINE, DrivenWorker, Failure, driven_worker

from worker_ext.invocation import LogRecord
from worker_ext.runtimes import protocol
from worker_ext.runtimes.protocol import Kind

HEAD = """
import asyncio, atexit, logging, os, subprocess, sys, threading, time
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="there are no forks and groups there")
GONE_WITHIN = 3.0  # seconds; the worker itself gives its exit handlers 0.75, the rest is for a busy machine


# What one invocation does harms no other

HARM = (
    HEAD
    + """
import multiprocessing

import gc
COLLECTED_WHEN_IMPORTED = gc.isenabled()

class Unspeakable(Exception):
    def __str__(self): raise ValueError

@app.route("x")
def Fine(req): return "fine"

@app.route("x")
def Exits(req): sys.exit(5)

@app.route("x")
async def ExitsAsync(req): sys.exit(6)

@app.route("x")
def Raises(req):
    def inner(): raise Unspeakable
    inner()

class ExitsWhenEncoded(func.HttpResponse):
    def get_body(self): sys.exit(8)

@app.route("x")
def ExitsLate(req): return ExitsWhenEncoded()

@app.route("x")
def Talkative(req): raise ValueError("x" * 300_000_000)

@app.route("x")
def Surrogate(req): raise KeyError("\\ud800")

@app.route("x")
async def StrayTask(req):
    async def stray(): raise {"exit": SystemExit(7), "interrupt": KeyboardInterrupt()}[req.params["how"]]
    asyncio.create_task(stray())
    await asyncio.sleep(0.01)
    return "survived"

@app.route("x")
def ReplacesStdout(req):
    kept = sys.stdout, sys.stderr
    try:
        sys.stdout = sys.stderr = None if req.params["by"] == "none" else open(os.devnull)
        if sys.stdout: sys.stdout.close()
        logging.warning("still logged")
        return "fine"
    finally:
        sys.stdout, sys.stderr = kept

@app.route("x")
def ReadsStdin(req): return repr(sys.stdin.read()) + repr(os.read(0, 1))

@app.route("x")
def Collects(req): return f"{COLLECTED_WHEN_IMPORTED} {gc.isenabled()}"

@app.route("x")
def Environment(req): return " ".join(name for name in os.environ if "SECRET" in name)

@app.route("x")
def Forks(req):
    child = os.fork()
    if child:
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    print("the child prints", flush=True)
    return "the child answers"

@app.route("x")
async def ForksAsync(req):
    future = asyncio.get_running_loop().create_future()
    child = os.fork()
    if child:
        return str(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    await future  # which lets the child's copy of the loop go on
    return "the child answers"

def work(text):
    print("child: " + text, flush=True)
    logging.warning("child logs: " + text)

@app.route("x")
def Multiprocesses(req):
    process = multiprocessing.get_context(req.params["how"]).Process(target=work, args=(req.params["how"],))
    process.start()
    process.join()
    return str(process.exitcode)
"""
)


@pytest.fixture(scope="module")
def harm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DrivenWorker]:
    with driven_worker(write_app(tmp_path_factory.mktemp("harm"), {"function_app.py": HARM})) as worker:
        yield worker


@pytest.fixture(autouse=True)
def survives(request: pytest.FixtureRequest) -> Iterator[None]:
    """Whatever a test did to the shared worker, it goes on."""
    yield
    if "harm" in request.fixturenames:
        assert request.getfixturevalue("harm").http("Fine").text == "fine"


@pytest.mark.parametrize(("function", "status"), [("Exits", 5), ("ExitsAsync", 6)])
def test_a_function_that_exits_fails(function: str, status: int, harm: DrivenWorker) -> None:
    failure = harm.fail(function)
    assert (failure.kind, failure.message) == ("SystemExit", f"exit status {status}")


def test_a_failure_has_the_users_part_of_the_traceback(harm: DrivenWorker) -> None:
    failure = harm.fail("Raises")
    assert (failure.kind, failure.message) == ("Unspeakable", "(its message cannot be read)")
    assert ", in Raises" in failure.traceback
    assert ", in inner" in failure.traceback
    assert "worker_ext" not in failure.traceback


def test_a_failure_may_contain_what_cannot_be_encoded(harm: DrivenWorker) -> None:
    assert harm.fail("Surrogate").message == r"'\ud800'"


def test_an_answer_that_exits_when_it_is_encoded_fails(harm: DrivenWorker) -> None:
    failure = harm.fail("ExitsLate")
    assert (failure.kind, failure.message) == ("SystemExit", "exit status 8")


def test_a_message_that_no_frame_could_hold_is_cut(harm: DrivenWorker) -> None:
    failure = harm.fail("Talkative")
    assert failure.kind == "ValueError"
    assert 0 < len(failure.message) < 10_000_000


@pytest.mark.parametrize(("how", "told"), [("exit", "SystemExit(7)"), ("interrupt", "KeyboardInterrupt()")])
def test_a_task_that_exits_ends_itself_and_no_more(how: str, told: str, harm: DrivenWorker) -> None:
    assert harm.http("StrayTask", f"/?how={how}").text == "survived"
    harm.wait_for_line(f"a task of the app raised {told}; only that task has ended")


@pytest.mark.parametrize("by", ["none", "closed"])
def test_a_function_that_replaces_stdout_loses_no_logs(by: str, harm: DrivenWorker) -> None:
    [line] = harm.http("ReplacesStdout", f"/?by={by}").lines
    assert line == LogRecord(logging.WARNING, "root", "still logged")


def test_a_function_finds_an_empty_stdin(harm: DrivenWorker) -> None:
    """The worker's own one is its lifeline to the host."""
    assert harm.http("ReadsStdin").text == "''b''"


def test_garbage_is_collected_from_the_app_s_first_line_on(harm: DrivenWorker) -> None:
    assert harm.http("Collects").text == "True True"


def test_a_function_cannot_read_the_secret(harm: DrivenWorker) -> None:
    assert harm.http("Environment").text == ""


@POSIX
@pytest.mark.parametrize("function", ["Forks", "ForksAsync"])
def test_a_forked_child_never_answers(function: str, harm: DrivenWorker) -> None:
    answer = harm.http(function)
    assert answer.text == "1"  # the child's exit status: it has ended where it came back into the worker


@POSIX
def test_a_forked_child_prints_to_the_process_own_stdout(harm: DrivenWorker) -> None:
    harm.http("Forks")
    wait_until(lambda: "the child prints" in harm.printed, "the child's line")


@pytest.mark.parametrize("how", [pytest.param("fork", marks=POSIX), "spawn"])
def test_a_function_may_use_multiprocessing(how: str, harm: DrivenWorker) -> None:
    assert harm.http("Multiprocesses", f"/?how={how}").text == "0"
    printed = [f"child: {how}", f"child logs: {how}"]  # which need not have come together
    wait_until(lambda: all(any(line.endswith(end) for line in harm.printed) for end in printed), "the child's lines")


@POSIX
@pytest.mark.parametrize("keyword", ["def", "async def"])
def test_a_worker_whose_descriptors_have_been_closed_ends_and_says_why(keyword: str, tmp_path: Path) -> None:
    source = HEAD + f"\n@app.route('x')\n{keyword} Closes(req):\n    os.closerange(3, 256)\n    return 'closed'\n"
    with driven_worker(write_app(tmp_path, {"function_app.py": source})) as worker:
        worker.request("Closes")
        assert worker.process.wait(DEADLINE) == 1
        wait_until(lambda: any("closed file descriptors" in line for line in worker.printed), "the reason")


# Its end when the host says stop

STOPPED = (
    HEAD
    + """
print("no line break while loading", end="")

def last_words():
    print("printed at exit")
    logging.warning("logged at exit")

atexit.register(last_words)
atexit.register(lambda: 1 / 0)

@app.route("x")
def Slow(req):
    time.sleep(0.2)
    print("no line break at the end", end="")
    return "x" * 20_000_000

@app.route("x")
async def Waits(req):
    open(req.params["folder"] + "/begun", "w").close()
    while not os.path.exists(req.params["folder"] + "/go-on"):
        time.sleep(0.01)
    return "done"

@app.route("x")
def Replaces(req):
    sys.stdout = sys.stderr = None
    sys.__stdout__.close()

@app.route("x")
def LeavesThread(req): threading.Thread(target=time.sleep, args=(60,)).start()
"""
)


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[DrivenWorker]:
    with driven_worker(write_app(tmp_path, {"function_app.py": STOPPED})) as worker:
        yield worker


def test_a_stopped_worker_finishes_what_it_runs(stopped: DrivenWorker) -> None:
    """The answer is too large for the socket's buffer: it must have left before the process ends."""
    call = stopped.request("Slow")
    assert stopped.stop() == 0
    result = stopped.result(call)
    assert len(result.body) == 20_000_000
    lines = [*(line.message for line in result.lines), *(line.message for _, line in stopped.logs)]
    assert {"no line break while loading", "no line break at the end"} <= set(lines)


def test_exit_handlers_run_and_are_heard(stopped: DrivenWorker) -> None:
    assert stopped.stop() == 0
    wait_until(lambda: "logged at exit" in stopped.printed, "the line that an exit handler logs")
    assert "printed at exit" in stopped.printed
    assert any("ZeroDivisionError" in line for line in stopped.printed)


def test_an_app_that_has_closed_stdout_stops_like_any_other(stopped: DrivenWorker) -> None:
    stopped.http("Replaces")
    assert stopped.stop() == 0


def test_threads_that_the_app_left_behind_do_not_keep_the_process(stopped: DrivenWorker) -> None:
    stopped.http("LeavesThread")
    assert stopped.stop() == 0


@POSIX
def test_ctrl_c_is_the_hosts_to_handle(stopped: DrivenWorker, tmp_path: Path) -> None:
    call = stopped.request("Waits", f"/?folder={tmp_path}")
    wait_until((tmp_path / "begun").exists, "the function begins")
    stopped.process.send_signal(signal.SIGINT)
    (tmp_path / "go-on").touch()
    assert stopped.result(call).text == "done"
    assert stopped.stop() == 0


# Its end when the host is gone

ORPHANED = (
    HEAD
    + """
@app.route("x")
def Reports(req):
    atexit.register(lambda: open(req.params["file"], "w").close())

@app.route("x")
def HangsAtExit(req):
    atexit.register(time.sleep, 60)

@app.route("x")
async def BlocksLoop(req):
    open(req.params["file"], "w").close()
    time.sleep(60)

@app.route("x")
def BlocksThread(req):
    open(req.params["file"], "w").close()
    time.sleep(60)

@app.route("x")
def StartsProcess(req):
    return str(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]).pid)
"""
)


@pytest.fixture
def orphan(tmp_path: Path) -> Iterator[DrivenWorker]:
    with driven_worker(write_app(tmp_path, {"function_app.py": ORPHANED})) as worker:
        yield worker


def assert_gone(worker: DrivenWorker) -> None:
    worker.abandon()
    worker.process.wait(GONE_WITHIN)


def test_a_worker_without_a_host_runs_its_exit_handlers_and_ends(orphan: DrivenWorker, tmp_path: Path) -> None:
    orphan.http("Reports", f"/?file={tmp_path / 'ended'}")
    assert_gone(orphan)
    assert (tmp_path / "ended").exists()


@pytest.mark.parametrize("function", ["BlocksLoop", "BlocksThread"])
def test_a_worker_without_a_host_ends_whatever_blocks_it(function: str, orphan: DrivenWorker, tmp_path: Path) -> None:
    orphan.request(function, f"/?file={tmp_path / 'begun'}")
    wait_until((tmp_path / "begun").exists, "the function begins")
    assert_gone(orphan)


def test_a_worker_without_a_host_ends_even_if_an_exit_handler_hangs(orphan: DrivenWorker) -> None:
    orphan.http("HangsAtExit")
    assert_gone(orphan)


@POSIX
@pytest.mark.parametrize("blocked", [False, True])
def test_a_worker_without_a_host_takes_along_what_it_has_started(
    blocked: bool, orphan: DrivenWorker, tmp_path: Path
) -> None:
    child = int(orphan.http("StartsProcess").text)
    if blocked:
        orphan.request("BlocksLoop", f"/?file={tmp_path / 'begun'}")
        wait_until((tmp_path / "begun").exists, "the function begins")
    assert_gone(orphan)
    wait_until(lambda: not _is_running(child), "the end of what it has started")


def test_a_worker_without_a_host_ends_while_it_loads_the_app(tmp_path: Path) -> None:
    text = "import time\nopen('begun', 'w').close()\ntime.sleep(60)"
    folder = write_app(tmp_path, {"function_app.py": text})
    with driven_worker(folder, waits=False) as worker:
        wait_until((tmp_path / "begun").exists, "the app is being loaded")
        assert_gone(worker)


def _is_running(pid: int) -> bool:
    """Whether a process exists and is no zombie that just nobody has buried."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


# The protocol


def test_a_host_that_does_not_follow_the_protocol_is_left(orphan: DrivenWorker) -> None:
    orphan.send(200)
    orphan.receive_all()
    orphan.process.wait(GONE_WITHIN)


def test_calls_are_answered_in_the_order_in_which_they_end(tmp_path: Path) -> None:
    text = HEAD + '@app.route("x")\nasync def F(req):\n    await asyncio.sleep(float(req.params["s"]))\n'
    with driven_worker(write_app(tmp_path, {"function_app.py": text})) as worker:
        slow, quick = worker.request("F", "/?s=1000"), worker.request("F", "/?s=0")
        worker.answer(quick)
        worker.send(Kind.CANCEL, slow)
        answer = worker.answer(slow)
        assert isinstance(answer, Failure)
        assert answer.kind == "CancelledError"


def test_log_lines_never_make_an_answer_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "_MAX_LOG_BYTES", 100)
    lines = [LogRecord(20, "", f"{number:030}") for number in range(9)]
    assert protocol.unpack_lines(protocol.pack_lines(lines)) == lines[-3:]
    monkeypatch.setattr(protocol, "_MAX_LINES", 2)
    assert protocol.unpack_lines(protocol.pack_lines(lines)) == lines[-2:]


def test_hello_says_who_it_is(orphan: DrivenWorker) -> None:
    assert orphan.hello["pid"] == orphan.process.pid
    assert orphan.hello["python"] == sys.version
    assert json.dumps(orphan.app)
    assert os.getpid() != orphan.process.pid
