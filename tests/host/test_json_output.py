"""``--enable-json-output``: what the console tells, for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.hosting import RunningHost, running_host, start_fails, wait_until, write_app

APP = """
import logging
import azure.functions as func

app = func.FunctionApp(http_auth_level="ANONYMOUS")

@app.route(route="logs")
def logs(req):
    logging.getLogger("orders").warning("two\\nlines, and a snowman \\u2603")
    print('{"looks": "like JSON"}')
    return "ok"

@app.route(route="fail")
def fail(req):
    raise ValueError("the reason")

print('azfuncjsonlog:{"name": "mine", "number": 1}', file=__import__("sys").__stdout__, flush=True)
"""
EVENT = '{"name":"mine","number":1}'


def objects(lines: list[str]) -> list[dict[str, Any]]:
    """The lines as objects; each of them must be one."""
    return [json.loads(line) for line in lines if not line.startswith("<end")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})
    with running_host(folder, "--enable-json-output") as host:
        host.wait_for(EVENT)
        yield host


def message(host: RunningHost, beginning: str) -> dict[str, Any]:
    """The line whose message begins so."""
    return wait_until(
        lambda: next((one for one in objects(host.lines) if one.get("message", "").startswith(beginning)), None),
        f"a message {beginning!r}",
    )


def test_every_line_is_an_object(host: RunningHost) -> None:
    host.get("/api/logs")
    host.wait_for("Executed 'Functions.logs'")
    assert all(
        {"timestamp", "level", "category", "message"} <= one.keys() or "name" in one for one in objects(host.lines)
    )


def test_lines_of_the_host(host: RunningHost) -> None:
    line = message(host, "Worker process started and initialized.")
    assert (line["level"], line["category"]) == ("Information", "Host")
    assert line["timestamp"].endswith("Z")
    assert message(host, "logs: http://localhost:")


def test_lines_of_a_function_stay_whole(host: RunningHost) -> None:
    host.get("/api/logs")
    line = message(host, "[orders] ")
    assert (line["level"], line["category"]) == ("Warning", "Function.logs.User")
    assert line["message"] == "[orders] two\nlines, and a snowman \u2603"
    assert message(host, '{"looks": "like JSON"}')["category"] == "Function.logs.User"
    assert message(host, "Executed 'Functions.logs' (Succeeded")["category"] == "Function.logs"


def test_failures(host: RunningHost) -> None:
    host.get("/api/fail")
    line = message(host, "Executed 'Functions.fail' (Failed")
    assert (line["level"], line["category"]) == ("Error", "Function.fail")
    assert "ValueError: the reason" in line["message"]


def test_a_worker_tells_its_process_for_debuggers(host: RunningHost) -> None:
    (startup,) = [one for one in objects(host.lines) if one.get("name") == "python-worker-startup"]
    assert startup["workerProcessId"] in host.worker_pids()


def test_what_the_app_prints_for_tools_is_passed_on(host: RunningHost) -> None:
    assert EVENT in host.lines


def test_into_a_file_while_the_console_is_for_people(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    file = tmp_path / "events.json"
    file.write_text('{"from": "an earlier start"}\n')
    with running_host(folder, "--json-output-file", str(file)) as host:
        host.get("/api/logs")
        host.wait_for(r"\[\d{4}-.*\] Executed 'Functions\.logs'")
        wait_until(lambda: "Executed 'Functions.logs'" in file.read_text(encoding="utf-8"), "the line in the file")
        assert "azfuncjsonlog" not in host.console
        assert "python-worker-startup" not in host.console
    written = objects(file.read_text(encoding="utf-8").splitlines())
    assert written[0] == {"from": "an earlier start"}
    assert {"python-worker-startup", "mine"} <= {one.get("name") for one in written}


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    error = start_fails(folder, "--json-output-file", str(tmp_path / "missing" / "events.json"))
    assert "events.json: --json-output-file cannot be written: No such file or directory" in error
    assert "Traceback" not in error


def test_without_it_workers_print_nothing_for_tools(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": APP})
    with running_host(folder) as host:
        assert "python-worker-startup" not in host.console
        host.wait_for('azfuncjsonlog:{"name": "mine", "number": 1}')  # it is just a line
