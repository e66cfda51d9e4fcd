"""Debugging with a real debugpy, while the app is edited and its workers come and go."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.dap import Editor
from support.hosting import RunningHost, free_port, running_host, start_fails, write_app

APP = """\
import azure.functions as func

app = func.FunctionApp(http_auth_level="ANONYMOUS")

@app.route(route="say")
def say(req):
    word = "one"
    return word
"""
LINE = 8  # of "return word"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def host(folder: Path, port: int) -> Iterator[RunningHost]:
    """A host that all tests share, since debugpy takes its time to start."""
    with running_host(folder, "--language-worker", f"-Xfrozen_modules=off -m debugpy --listen {port}") as host:
        host.wait_for(rf"A debugger can attach at 127\.0\.0\.1:{port}\.")
        yield host


def hit(host: RunningHost, editor: Editor) -> str:
    """Run the function into its breakpoint; gives what the debugger reads in the variable, and lets it go on."""
    request = host.begin("/api/say")
    thread = editor.event("stopped")["threadId"]
    frame = editor.request("stackTrace", threadId=thread)["stackFrames"][0]
    assert frame["line"] == LINE
    found = str(editor.request("evaluate", expression="word", frameId=frame["id"])["result"])
    editor.request("continue", threadId=thread)
    assert request.answer().text == found.strip("'")
    return found


def test_an_editor_can_leave_and_come_back(host: RunningHost, folder: Path, port: int) -> None:
    for _ in range(2):
        with Editor(port, {folder / "function_app.py": [LINE]}) as editor:
            assert hit(host, editor) == "'one'"
            editor.request("disconnect")
        assert host.get("/api/say").text == "one"  # nothing stops any more


def test_an_editor_that_is_gone_all_at_once(host: RunningHost, folder: Path, port: int) -> None:
    """It ends between its request and the answers to it, as one that crashes."""
    seen = len(host.lines)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(framed(b'{"seq": 1, "type": "request", "command": "initialize", "arguments": {}}'))
            connection.recv(16)  # what is not read makes the end a reset
    with Editor(port, {folder / "function_app.py": [LINE]}) as editor:
        hit(host, editor)
    assert "Traceback" not in "\n".join(host.lines[seen:])


def test_a_second_editor_is_sent_away(host: RunningHost, port: int) -> None:
    with Editor(port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as second:
            assert second.recv(1) == b""
        host.wait_for("A second debugger tried to attach")


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"Content-Length: 99999999999\r\n\r\n",
        b"Content-Length: -1\r\n\r\n",
        b"x" * 100_000,
        framed(b"[]"),
        framed(b"{"),
        framed(b'{"type": "request", "command": "initialize"}'),
        framed(b'{"type": "request", "seq": [], "command": {}}'),
        framed(b'{"type": "request", "seq": 1, "command": "setBreakpoints", "arguments": [null]}'),
        framed(b'{"type": "event", "seq": 1}'),
    ],
)
def test_what_is_no_editor_harms_nothing(host: RunningHost, port: int, nonsense: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(nonsense)
        connection.shutdown(socket.SHUT_WR)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(1000):
                pass
    with Editor(port) as editor:
        assert editor.request("threads")["threads"]


def test_a_session_goes_on_over_reloads(host: RunningHost, folder: Path, port: int) -> None:
    file = folder / "function_app.py"
    with Editor(port, {file: [7]}) as editor:
        editor.request("setBreakpoints", source={"path": str(file)}, breakpoints=[{"line": LINE}])  # and no more at 7
        worker = editor.worker()
        for word in ("two", "three"):
            file.write_text(APP.replace("one", word))
            worker = editor.worker(other_than=worker)
            assert hit(host, editor) == f"'{word}'"
        assert not [one for one in editor.seen if one.get("event") in ("terminated", "exited")]


def test_a_session_goes_on_when_a_worker_is_killed(host: RunningHost, folder: Path, port: int) -> None:
    with Editor(port, {folder / "function_app.py": [LINE]}) as editor:
        request = host.begin("/api/say")
        thread = editor.event("stopped")["threadId"]
        worker = editor.worker()
        os.kill(worker, signal.SIGKILL)
        assert request.answer().status == 500
        assert editor.event("continued")["threadId"] == thread
        editor.worker(other_than=worker)
        assert hit(host, editor) == "'three'"


def test_an_app_that_waits_for_its_debugger(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "function_app.py"
    write_app(tmp_path, {"function_app.py": "broken("})
    options = ("--language-worker", f"-m debugpy --listen {port} --wait-for-client")
    with (
        running_host(tmp_path, *options, ready="A debugger can attach") as host,
        Editor(port, {file: [LINE]}) as editor,
    ):
        host.wait_for("No functions are being served")
        file.write_text(APP)
        host.port = int(host.wait_for(r"http://localhost:(\d+)")[1])  # it has not waited for another editor
        assert hit(host, editor) == "'one'"


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": APP})
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        error = start_fails(folder, "--language-worker", f"-m debugpy --listen {taken}")
    assert f"a debugger cannot attach at 127.0.0.1:{taken}: another program uses that port" in error
    assert "Choose another port after --listen" in error
