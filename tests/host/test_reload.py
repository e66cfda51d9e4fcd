"""Edits of a running app: what takes effect, what does not, and that nobody notices a gap."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import RunningHost, free_port, is_listening, running_host, steady_requests, wait_until, write_app

APP = """
import os
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="edition")
def edition(req):
    return "EDITION " + os.environ.get("NAME", "")

@app.route(route="until/{file}")
def until(req):
    import time
    from pathlib import Path
    file = Path(req.route_params["file"])
    file.with_suffix(".begun").touch()
    while not file.exists():
        time.sleep(0.01)
    return "EDITION"
"""
BROKEN = APP + "\nthis is no Python\n"


def app(edition: str) -> str:
    return APP.replace("EDITION", edition)


def write(path: Path, content: str) -> None:
    """Save a file as editors do: a new one takes the place of the old."""
    new = path.with_name(f"{path.name}.tmp~")
    new.write_text(content)
    new.replace(path)


def save(path: Path, content: str) -> None:
    path.write_text(content)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, RunningHost]]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": app("first")})
    with running_host(folder) as host:
        yield folder, host


@pytest.fixture
def folder(shared: tuple[Path, RunningHost]) -> Path:
    return shared[0]


@pytest.fixture
def host(shared: tuple[Path, RunningHost]) -> Iterator[RunningHost]:
    """A host that serves the first edition; what a test changes is put back."""
    folder, host = shared
    before = {path: path.read_bytes() for path in folder.glob("*.*") if path.is_file()}
    yield host
    seen = len(host.lines)
    for path in folder.glob("*.*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)
    host.wait_for("Functions:", since=seen)
    eventually(host, "/api/edition", "first ")


def eventually(host: RunningHost, path: str, text: str) -> None:
    wait_until(lambda: host.get(path).text == text, f"the answer {text!r} from {path}")


def test_edits_fail_no_request(folder: Path, host: RunningHost) -> None:
    with steady_requests(host, "/api/edition") as outcomes:
        for number in range(4):
            edit = write if number % 2 else save
            edit(folder / "function_app.py", app(f"edition {number}"))
            wait_until(lambda: (200, f"edition {number} ") in outcomes, f"an answer of edition {number}")
    assert {outcome[0] for outcome in outcomes} == {200}, outcomes


def test_the_edition_before_finishes_what_it_runs(folder: Path, host: RunningHost) -> None:
    running = host.begin("/api/until/go")
    wait_until((folder / "go.begun").exists, "the start of the function")
    write(folder / "function_app.py", app("second"))
    eventually(host, "/api/edition", "second ")
    assert not running.is_answered
    (folder / "go").touch()
    assert running.answer().text == "first"
    if sys.platform.startswith("linux"):
        wait_until(lambda: len(host.worker_pids()) == 1, "the end of the edition before")


def test_a_broken_edit_leaves_the_last_good_edition_and_a_repair_replaces_it(folder: Path, host: RunningHost) -> None:
    seen = len(host.lines)
    with steady_requests(host, "/api/edition") as outcomes:
        write(folder / "function_app.py", BROKEN)
        host.wait_for("The last edition that could be loaded is still being served", since=seen)
        host.wait_for(rf"function_app.py:{BROKEN.count(chr(10))}: SyntaxError: invalid syntax", since=seen)
        assert host.get("/api/edition").text == "first "
        write(folder / "function_app.py", app("repaired"))
        wait_until(lambda: (200, "repaired ") in outcomes, "an answer of the repaired edition")
    assert {outcome[0] for outcome in outcomes} == {200}, outcomes


def test_edits_in_quick_succession_end_with_the_last(folder: Path, host: RunningHost) -> None:
    with steady_requests(host, "/api/edition") as outcomes:
        for number in range(30):
            write(folder / "function_app.py", app(f"quick {number}") if number % 3 else BROKEN)
        write(folder / "function_app.py", app("last"))
        wait_until(lambda: (200, "last ") in outcomes, "an answer of the last edition")
    assert {outcome[0] for outcome in outcomes} == {200}, outcomes


def test_a_new_a_renamed_and_a_removed_file(folder: Path, host: RunningHost) -> None:
    importing = app("first").replace(
        "import os\n", "import os\ntry:\n    import more\nexcept ImportError:\n    more = None\n"
    )
    importing = importing.replace('"first "', 'f"{more and more.NAME} "')
    write(folder / "function_app.py", importing)
    eventually(host, "/api/edition", "None ")
    (folder / "other.py").write_text("NAME = 'new'\n")
    (folder / "other.py").rename(folder / "more.py")
    eventually(host, "/api/edition", "new ")
    (folder / "more.py").unlink()
    eventually(host, "/api/edition", "None ")
    (folder / "more").mkdir()
    (folder / "more" / "__init__.py").write_text("NAME = 'package'\n")
    eventually(host, "/api/edition", "package ")


def test_what_is_no_part_of_the_app_restarts_nothing(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": app("first")})
    with running_host(tmp_path) as host:
        for name in (
            ".venv/lib/site-packages/library.py", ".git/hooks/hook.py", "__pycache__/function_app.cpython-311.pyc",
            "node_modules/tool/build.py", "data.json", "notes.txt", ".hidden.swp", "venv/lib/other.py",
        ):  # fmt: skip
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("pass\n")
        write(tmp_path / "function_app.py", app("second"))
        eventually(host, "/api/edition", "second ")
        changed = [line.partition("Z] ")[2] for line in host.lines if "signaling restart" in line]
        assert changed == ["function_app.py changed; signaling restart."]


def test_host_json_and_local_settings_take_effect(folder: Path, host: RunningHost) -> None:
    write(folder / "local.settings.json", '{"Values": {"NAME": "from Values"}}')
    eventually(host, "/api/edition", "first from Values")
    write(folder / "local.settings.json", '{"Values": {"NAME": "changed"}}')
    eventually(host, "/api/edition", "first changed")
    (folder / "local.settings.json").unlink()
    eventually(host, "/api/edition", "first ")
    http = {"routePrefix": "v2", "customHeaders": {"X-Served-By": "us"}}
    host_json = {"version": "2.0", "functionTimeout": "00:00:01", "extensions": {"http": http}}
    write(folder / "host.json", json.dumps(host_json))
    eventually(host, "/v2/edition", "first ")
    assert host.get("/api/edition").status == 404
    assert host.get("/v2/edition").header("x-served-by") == "us"
    answer = host.get("/v2/until/never")
    assert (answer.status, "functionTimeout of 1 s" in answer.text) == (500, True)
    (folder / "never").touch()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        (
            "host.json",
            '{"version": "2.0",\n "functionTimeout": "soon"}',
            "host.json:2: functionTimeout must be a duration",
        ),
        ("host.json", '{"version": "2.0",\n', "host.json:2"),
        ("host.json", '{"version": "2.0", "extensions": {"http": {"routePrefix": "admin"}}}', "routePrefix 'admin'"),
        ("local.settings.json", '{"Values": {"FUNCTIONS_WORKER_RUNTIME": "node"}}', "this host runs Python functions"),
    ],
    ids=["value", "syntax", "prefix", "runtime"],
)
def test_a_mistake_in_the_settings_leaves_those_before(
    folder: Path, host: RunningHost, name: str, content: str, reason: str
) -> None:
    seen = len(host.lines)
    write(folder / name, content)
    host.wait_for("The settings before this edit stay in force", since=seen)
    assert reason in "\n".join(host.lines[seen:])
    assert host.get("/api/edition").text == "first "
    [worker] = host.worker_pids()
    os.kill(worker, signal.SIGKILL)
    eventually(host, "/api/edition", "first ")


def test_an_app_that_is_broken_from_the_start_recovers(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": BROKEN})
    with running_host(tmp_path, port=free_port(), ready="No functions are being served") as host:
        answer = host.get("/api/edition")
        assert (answer.status, "SyntaxError" in answer.text) == (503, True)
        write(tmp_path / "function_app.py", app("repaired"))
        eventually(host, "/api/edition", "repaired ")


def test_when_the_last_good_edition_dies_its_successor_is_the_broken_one(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": app("first")})
    with running_host(tmp_path) as host:
        write(tmp_path / "function_app.py", BROKEN)
        host.wait_for("is still being served")
        os.kill(host.worker_pids()[0], signal.SIGKILL)
        host.wait_for("No functions are being served")
        answer = host.get("/api/edition")
        assert (answer.status, "cannot be loaded" in answer.text, "SyntaxError" in answer.text) == (503, True, True)
        write(tmp_path / "function_app.py", app("repaired"))
        eventually(host, "/api/edition", "repaired ")


def test_requests_that_come_while_the_app_is_loading_wait_for_it(tmp_path: Path) -> None:
    goes_on = tmp_path / "goes-on"
    source = f"import os, time\nwhile not os.path.exists({str(goes_on)!r}): time.sleep(0.01)\n"
    write_app(tmp_path / "app", {"function_app.py": source + app("slow")})
    with running_host(tmp_path / "app", port=free_port(), ready=None) as host:
        wait_until(lambda: is_listening(host.port), "a host that listens")
        waiting = host.begin("/api/edition")
        goes_on.touch()
        assert waiting.answer().text == "slow "


def test_an_app_that_takes_too_long_to_load_is_told_and_may_be_edited(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": "import time\ntime.sleep(1000)\n"})
    with running_host(tmp_path, "--timeout", "1", port=free_port(), ready=None) as host:
        wait_until(lambda: is_listening(host.port), "a host that listens")
        answer = host.get("/api/edition")
        assert (answer.status, "has not been loaded within 1 s" in answer.text) == (503, True)
        write(tmp_path / "function_app.py", app("quick"))
        eventually(host, "/api/edition", "quick ")


def test_file_watching_can_be_turned_off(tmp_path: Path) -> None:
    write_app(
        tmp_path, {"function_app.py": app("first"), "host.json": {"version": "2.0", "fileWatchingEnabled": False}}
    )
    with running_host(tmp_path) as host:
        write(tmp_path / "function_app.py", app("second"))
        os.kill(host.worker_pids()[0], signal.SIGKILL)
        eventually(host, "/api/edition", "second ")  # the new worker reads the file
        assert "signaling restart" not in host.console
