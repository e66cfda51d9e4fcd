"""Workers that die, hang or cannot start, and hosts that are stopped: real processes, real signals."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import (
    DEADLINE,
    RunningHost,
    free_port,
    host_environ,
    is_listening,
    running_host,
    start_command,
    start_fails,
    wait_until,
    write_app,
)

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at processes in /proc")

APP = """
import asyncio, ctypes, os, signal, subprocess, sys, time
from pathlib import Path
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="pid")
def pid(req):
    return str(os.getpid())

@app.route(route="exit/{status:int}")
def leave(req):
    os._exit(int(req.route_params["status"]))

@app.route(route="crash")
def crash(req):
    ctypes.string_at(0)

@app.route(route="system_exit")
def system_exit(req):
    sys.exit("enough")

@app.route(route="leave_a_child")
def leave_a_child(req):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
    os.kill(os.getpid(), signal.SIGKILL)

@app.route(route="until/{file}")
def until(req):
    # Runs until the test makes the file; tells that it runs by making another.
    file = Path(req.route_params["file"])
    file.with_suffix(".begun").touch()
    while not file.exists():
        time.sleep(0.01)
    return str(os.getpid())

@app.route(route="async_until/{file}")
async def async_until(req):
    file = Path(req.route_params["file"])
    file.with_suffix(".begun").touch()
    while not file.exists():
        await asyncio.sleep(0.01)
    return str(os.getpid())

@app.route(route="for_ever")
async def for_ever(req):
    await asyncio.sleep(1000)

@app.route(route="block")
async def block(req):
    time.sleep(1000)

@app.route(route="hang")
def hang(req):
    time.sleep(1000)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_app(tmp_path, {"function_app.py": APP})


@pytest.fixture
def host(folder: Path) -> Iterator[RunningHost]:
    with running_host(folder) as host:
        yield host


def begun(folder: Path, name: str) -> None:
    wait_until((folder / f"{name}.begun").exists, f"the start of {name}")


class TestADeadWorker:
    @pytest.mark.parametrize(
        ("path", "reason"),
        [("/api/exit/3", "ended with exit status 3"), ("/api/crash", "was ended by SIGSEGV")],
    )
    def test_its_invocation_fails_with_the_reason_and_the_next_is_served(
        self, host: RunningHost, path: str, reason: str
    ) -> None:
        before = host.get("/api/pid").text
        seen = len(host.lines)
        response = host.get(path)
        assert response.status == 500
        assert response.text == f"the worker process {before} that ran this invocation {reason} before it answered"
        response = host.get("/api/pid")
        assert (response.status, response.text != before) == (200, True)
        host.wait_for(rf"Worker process {before} {reason}; a new one starts in [\d.]+ s", since=seen)
        host.wait_for("Worker process started and initialized", since=seen)

    def test_all_that_it_ran_fails_and_nothing_else(self, host: RunningHost, folder: Path) -> None:
        running = [host.begin("/api/until/a"), host.begin("/api/async_until/b")]
        begun(folder, "a")
        begun(folder, "b")
        [worker] = host.worker_pids()
        os.kill(worker, signal.SIGKILL)
        for request in running:
            answer = request.answer()
            assert answer.status == 500
            assert f"the worker process {worker} that ran this invocation was ended by SIGKILL" in answer.text
        assert host.get("/api/pid").status == 200

    def test_requests_that_come_before_its_successor_wait(self, host: RunningHost) -> None:
        os.kill(host.worker_pids()[0], signal.SIGKILL)
        host.wait_for("was ended by SIGKILL; a new one starts")
        requests = [host.begin("/api/pid") for _ in range(20)]
        assert [request.answer().status for request in requests] == [200] * 20

    def test_its_end_is_noticed_although_a_child_of_it_lives_and_the_child_is_ended(self, host: RunningHost) -> None:
        answer = host.get("/api/leave_a_child")
        assert (answer.status, "was ended by SIGKILL" in answer.text) == (500, True)
        assert host.get("/api/pid").status == 200
        wait_until(lambda: len(host.processes()) == 1, "the end of the dead worker's child")

    def test_sys_exit_in_a_function_fails_the_invocation_and_no_more(self, host: RunningHost) -> None:
        before = host.get("/api/pid").text
        answer = host.get("/api/system_exit")
        assert (answer.status, "SystemExit" in answer.text) == (500, True)
        assert host.get("/api/pid").text == before

    def test_what_it_writes_while_it_crashes_is_shown(self, host: RunningHost) -> None:
        seen = len(host.lines)
        host.get("/api/crash")
        host.wait_for("Fatal Python error: Segmentation fault", since=seen)


def test_several_workers_share_the_work_and_each_is_replaced(folder: Path) -> None:
    with running_host(folder, environ={"FUNCTIONS_WORKER_PROCESS_COUNT": "3"}) as host:
        host.wait_for("Worker process started and initialized", count=3)
        workers = set(host.worker_pids())
        assert len(workers) == 3
        requests = [host.begin(f"/api/until/all?{number}") for number in range(6)]
        host.wait_for("Executing", count=6)
        (folder / "all").touch()
        pids = [request.answer().text for request in requests]
        assert {pids.count(str(worker)) for worker in workers} == {2}
        (folder / "all").unlink()
        for dead, worker in enumerate(sorted(workers), start=1):
            os.kill(worker, signal.SIGKILL)
            host.wait_for(f"Worker process {worker} was ended by SIGKILL")
            assert {host.get("/api/pid").status for _ in range(3)} == {200}
            host.wait_for("Worker process started and initialized", count=3 + dead)
        assert len(set(host.worker_pids())) == 3
        assert not workers & set(host.worker_pids())


def with_time_limit(folder: Path, seconds: int) -> Path:
    return write_app(
        folder, {"function_app.py": APP, "host.json": {"version": "2.0", "functionTimeout": f"00:00:0{seconds}"}}
    )


@pytest.fixture(scope="module")
def impatient_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    """A host whose functions may take one second."""
    with running_host(with_time_limit(tmp_path_factory.mktemp("app"), 1)) as host:
        yield host


class TestAFunctionThatDoesNotEnd:
    def test_an_async_one_is_cancelled_and_its_worker_goes_on(self, impatient_host: RunningHost) -> None:
        host, seen = impatient_host, len(impatient_host.lines)
        before = host.get("/api/pid").text
        answer = host.get("/api/for_ever")
        assert answer.status == 500
        assert answer.text == "for_ever did not finish within the functionTimeout of 1 s"
        assert host.get("/api/pid").text == before
        host.wait_for(r"Executed 'Functions.for_ever' \(Failed", since=seen)
        assert "is being replaced" not in "\n".join(host.lines[seen:])

    @pytest.mark.parametrize("name", ["hang", "block"])
    def test_one_that_cannot_be_interrupted_is_answered_and_its_worker_replaced(
        self, impatient_host: RunningHost, name: str
    ) -> None:
        host, seen = impatient_host, len(impatient_host.lines)
        worker = int(host.get("/api/pid").text)
        assert host.get(f"/api/{name}").status == 500
        host.wait_for(f"{name} cannot be interrupted; worker process {worker} is being replaced", since=seen)
        assert int(host.get("/api/pid").text) != worker
        wait_until(lambda: worker not in host.worker_pids(), "the end of the stuck worker")

    def test_what_its_worker_runs_besides_keeps_its_time(self, folder: Path) -> None:
        with running_host(with_time_limit(folder, 5)) as host:
            [worker] = host.worker_pids()
            assert host.get("/api/hang").status == 500
            other = host.begin("/api/until/other")  # begins before the worker is replaced, and ends after
            begun(folder, "other")
            host.wait_for("is being replaced")
            assert int(host.get("/api/pid").text) != worker
            (folder / "other").touch()
            assert (other.answer().status, other.answer().text) == (200, str(worker))
            wait_until(lambda: worker not in host.worker_pids(), "the end of the stuck worker")
            assert len(host.worker_pids()) == 1


class TestStopping:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda number: number.name)
    def test_running_invocations_finish_and_nothing_is_left(self, folder: Path, number: int) -> None:
        with running_host(folder) as host:
            request = host.begin("/api/until/go")
            begun(folder, "go")
            host.process.send_signal(number)
            host.wait_for("Stopping; 1 invocations are still running")
            with pytest.raises(OSError):
                host.connect()
            (folder / "go").touch()
            assert request.answer().status == 200
            assert host.stop() == 0
            host.wait_for_nothing_left()
            assert list(host.temporary.iterdir()) == []

    def test_a_request_on_an_open_connection_is_answered_while_the_host_stops(self, folder: Path) -> None:
        with running_host(folder) as host:
            running = host.begin("/api/until/go")
            begun(folder, "go")
            with host.connect() as connection:
                connection.sendall(b"GET /api/until/go HTTP/1.1\r\nHost: h\r\n\r\n")
                host.wait_for("Executing", count=2)
                host.process.send_signal(signal.SIGTERM)
                host.wait_for("Stopping; 2")
                (folder / "go").touch()
                answers = b""
                while data := connection.recv(65536):
                    answers += data
            assert answers.startswith(b"HTTP/1.1 200 ")
            assert running.answer().status == 200
            assert host.stop() == 0

    def test_what_the_edition_before_an_edit_still_runs_finishes_too(self, folder: Path) -> None:
        with running_host(folder) as host:
            request = host.begin("/api/until/go")
            begun(folder, "go")
            (folder / "function_app.py").write_text(APP + "\n# edited\n")
            host.wait_for("Worker process started and initialized", count=2)
            host.process.send_signal(signal.SIGTERM)
            host.wait_for("Stopping; 1 invocations are still running")
            (folder / "go").touch()
            assert request.answer().status == 200
            assert host.stop() == 0

    def test_the_second_ctrl_c_ends_it_at_once(self, folder: Path) -> None:
        with running_host(folder) as host:
            request = host.begin("/api/until/never")
            begun(folder, "never")
            host.process.send_signal(signal.SIGINT)
            host.wait_for("Stopping")
            host.process.send_signal(signal.SIGINT)
            assert host.process.wait(5) == 0
            assert (request.answer().status, "SIGKILL" in request.answer().text) == (500, True)
            host.wait_for_nothing_left()

    def test_ctrl_c_while_the_app_is_loading(self, tmp_path: Path) -> None:
        write_app(tmp_path, {"function_app.py": "open('loading', 'w')\nimport time\ntime.sleep(1000)\n"})
        with running_host(tmp_path, ready=None) as host:
            wait_until((tmp_path / "loading").exists, "the start of loading")
            host.process.send_signal(signal.SIGINT)
            assert host.process.wait(5) == 0
            host.wait_for_nothing_left()

    def test_a_host_that_is_killed_takes_its_workers_along(self, folder: Path) -> None:
        with running_host(folder) as host:
            request = host.begin("/api/block")
            host.wait_for("Executing 'Functions.block'")
            host.process.kill()
            host.process.wait()
            host.wait_for_nothing_left()
            with pytest.raises(AssertionError):  # its connection is gone
                request.answer()


def test_the_reader_of_the_console_may_go(folder: Path) -> None:
    """As with ``func host start | head -3``."""
    port = free_port()
    process = subprocess.Popen(
        start_command(folder, port=port), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=host_environ()
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    host = RunningHost(process, "", folder, port)  # type: ignore[arg-type]
    try:
        wait_until(lambda: is_listening(port), "a host that listens")
        assert [host.get("/api/pid").status for _ in range(3)] == [200] * 3
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, b"")


class TestStarting:
    def test_a_port_in_use_is_told_plainly(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            message = start_fails(folder, port=port)
        assert message == (
            f"port {port} on localhost is in use by another program\n"
            f"  Stop that program, or choose another port:  func host start --port {port + 1}\n"
        )

    def test_an_address_that_is_not_ours(self, folder: Path) -> None:
        message = start_fails(folder, "--address", "192.0.2.1")
        assert message.startswith("cannot listen on 192.0.2.1 port 0: ")

    def test_a_temporary_folder_whose_path_is_too_long_for_a_socket(self, folder: Path) -> None:
        long = folder / ("x" * 120)
        long.mkdir()
        with running_host(folder, environ={"TMPDIR": str(long)}) as host:
            assert host.get("/api/pid").status == 200
        assert list(long.iterdir()) == []

    def test_an_app_whose_interpreter_was_removed(self, folder: Path) -> None:
        python = folder / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to("/nowhere/python3")
        with running_host(folder, "--timeout", "1", port=free_port(), ready=r"a new one starts") as host:
            host.wait_for(re.escape(f"{python} cannot be run: No such file or directory\n  Make a new .venv"))
            host.wait_for("A worker process cannot be started; a new one starts in 0.5 s")
            answer = host.get("/api/pid")
            assert (answer.status, "has not been loaded within 1 s" in answer.text) == (503, True)
            python.unlink()
            python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')  # repaired, without an edit of the app
            python.chmod(0o755)
            host.wait_for("Functions:")
            assert host.get("/api/pid").status == 200

    def test_an_app_whose_environment_lacks_azure_functions(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / ".venv")], check=True)
        with running_host(folder, port=free_port(), ready="No functions are being served") as host:
            python = folder / ".venv" / "bin" / "python"
            host.wait_for(f"azure-functions is not installed for the app's Python, {python}")
            assert "Traceback" not in host.console
            answer = host.get("/api/pid")
            assert (answer.status, "azure-functions is not installed" in answer.text) == (503, True)
            [packages] = folder.glob(".venv/lib/*/site-packages")
            write_app(packages, {"ours.pth": sysconfig.get_path("purelib"), "ours-1.dist-info/RECORD": ""})
            host.wait_for("Functions:")
            assert host.get("/api/pid").status == 200

    def test_a_worker_that_never_connects_is_ended_and_told(self, folder: Path) -> None:
        python = folder / "python"
        python.write_text("#!/bin/sh\nexec sleep 1000\n")
        python.chmod(0o755)
        environ = {"languageWorkers__python__defaultExecutablePath": str(python)}
        with running_host(folder, "--timeout", "1", environ=environ, ready="did not connect") as host:
            host.wait_for("did not connect to the host within 1 s and was ended; a new one starts in 0.25 s")
