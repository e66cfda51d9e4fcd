"""The console: the shape of its lines, which of them are shown, and where they go."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import RunningHost, running_host, write_app

from worker_ext.host.console import Console
from worker_ext.invocation import LogRecord

STAMP = r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\] "

APP = """
import asyncio, logging, sys, threading
from concurrent.futures import ThreadPoolExecutor
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="logs", methods=["GET", "POST"])
def logs(req):
    logging.debug("a debug line")
    logging.info("an info line")
    logging.warning("a warning line")
    logging.getLogger("orders").error("an error line")
    print("a printed line")
    print("a line on standard error", file=sys.stderr)
    thread = threading.Thread(target=lambda: logging.info("a line from a thread"))
    thread.start()
    thread.join()
    with ThreadPoolExecutor() as pool:
        pool.submit(print, "a line from a pool").result()
    return "done"

@app.route(route="quiet")
async def quiet(req):
    await asyncio.to_thread(logging.info, "never shown")
    logging.error("always shown")
    return "done"

@app.route(route="unicode")
def unicode(req):
    print("snowman \\u2603, lone \\udcff, and a\\nline break")
    return "done"

@app.route(route="fail")
def fail(req):
    raise ValueError("the reason")

@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
def tick(timer: func.TimerRequest) -> None:
    pass
"""
LEVELS = {"version": "2.0", "logging": {"logLevel": {"Function.quiet.User": "Error", "function.QUIET": "Warning"}}}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP, "host.json": LEVELS})
    with running_host(folder, ready="For detailed output") as host:
        host.port = int(re.search(r"localhost:(\d+)", host.console)[1])  # type: ignore[index]
        yield host


def test_the_start_lists_the_functions_with_their_urls(host: RunningHost) -> None:
    base = f"http://localhost:{host.port}/api"
    listed = host.console[host.console.index("Functions:") :]
    assert listed.startswith(
        "Functions:\n\n"
        f"\tfail: {base}/fail\n\n"
        f"\tlogs: [GET,POST] {base}/logs\n\n"
        f"\tquiet: {base}/quiet\n\n"
        f"\tunicode: {base}/unicode\n\n"
        "\ttick: timerTrigger\n\n"
    )
    assert re.search(f"^{STAMP}Worker process started and initialized\\.$", host.console, re.MULTILINE)


def test_two_lines_frame_an_invocation_and_what_it_writes(host: RunningHost) -> None:
    seen = len(host.lines)
    host.get("/api/logs")
    host.wait_for("Executed", since=seen)
    lines = [re.sub(f"^{STAMP}", "", line) for line in host.lines[seen:]]
    lines = lines[next(at for at, line in enumerate(lines) if line.startswith("Executing 'Functions.logs'")) :]
    executing = re.fullmatch(
        r"Executing 'Functions\.logs' \(Reason='This function was programmatically called via the host APIs\.', "
        r"Id=([0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12})\)",
        lines[0],
    )
    assert executing is not None, lines[0]
    assert re.fullmatch(rf"Executed 'Functions\.logs' \(Succeeded, Id={executing[1]}, Duration=\d+ms\)", lines[-1])
    assert lines[1:-1] == [
        "an info line",
        "WARNING: a warning line",
        "ERROR: [orders] an error line",
        "a printed line",
        "a line on standard error",
        "a line from a thread",
        "a line from a pool",
    ]


def test_a_failed_invocation_shows_its_traceback(host: RunningHost) -> None:
    seen = len(host.lines)
    host.get("/api/fail")
    host.wait_for(r"Executed 'Functions\.fail' \(Failed, Id=[0-9a-f-]{36}, Duration=\d+ms\)\nTraceback", since=seen)
    host.wait_for("ValueError: the reason", since=seen)


def test_log_levels_of_host_json_hold(host: RunningHost) -> None:
    seen = len(host.lines)
    assert host.get("/api/quiet").status == 200
    host.wait_for("ERROR: always shown", since=seen)
    assert "never shown" not in host.console
    assert "Functions.quiet" not in host.console


def test_any_text_can_be_printed(host: RunningHost) -> None:
    seen = len(host.lines)
    host.get("/api/unicode")
    host.wait_for("snowman ☃, lone .*, and a\n", since=seen)


def test_a_console_that_lacks_characters_shows_something_for_them(tmp_path: Path) -> None:
    write_app(tmp_path, {"function_app.py": APP})
    with running_host(tmp_path, environ={"PYTHONIOENCODING": "ascii"}) as host:
        host.get("/api/unicode")
        host.wait_for(r"snowman \\u2603")
        host.wait_for(r"Executed 'Functions\.unicode' \(Succeeded")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(levels: dict[str, str], *records: LogRecord, function: str = "hello", verbose: bool = False) -> str:
    stream = io.StringIO()
    console = Console(stream, verbose=verbose)
    console.set_levels(levels)
    console.records(function, records)
    return re.sub(STAMP, "", stream.getvalue())


def record(level: int) -> LogRecord:
    return LogRecord(level, "root", "text")


@pytest.mark.parametrize(
    ("levels", "lowest"),
    [
        ({}, logging.INFO),
        ({"default": "Warning"}, logging.WARNING),
        ({"Default": "Trace"}, logging.DEBUG),
        ({"default": "None"}, None),
        ({"Function": "Error"}, logging.ERROR),
        ({"function.hello": "Error", "Function": "Trace"}, logging.ERROR),
        ({"Function.hello.User": "Debug", "Function.hello": "Error"}, logging.DEBUG),
        ({"Function.hel": "Error"}, logging.ERROR),
        ({"Function.*.User": "Critical", "Function": "Debug"}, logging.CRITICAL),
        ({"Function.other": "None", "Host.Results": "None"}, logging.INFO),
    ],
    ids=str,
)
def test_the_longest_matching_category_counts(levels: dict[str, str], lowest: int | None) -> None:
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        expected = lowest is not None and level >= lowest
        assert bool(shown(levels, record(level))) is expected, logging.getLevelName(level)


def test_verbose_shows_debug_lines() -> None:
    assert shown({}, record(logging.DEBUG), verbose=True) == "DEBUG: text\n"


def test_a_failure_is_hidden_only_where_errors_are() -> None:
    for level, expected in (("Error", True), ("Critical", False)):
        stream = io.StringIO()
        console = Console(stream)
        console.set_levels({"Function.hello": level})
        console.failure("hello", "failed")
        assert bool(stream.getvalue()) is expected


def test_a_terminal_tells_levels_by_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = Terminal()
    console = Console(stream)
    console.records("hello", [record(logging.INFO), record(logging.WARNING), record(logging.ERROR)])
    info, warning, error = stream.getvalue().splitlines()
    assert "\x1b" not in info
    assert re.fullmatch(f"\x1b\\[33m{STAMP}text\x1b\\[0m", warning)
    assert re.fullmatch(f"\x1b\\[31m{STAMP}text\x1b\\[0m", error)


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    Console(stream).warning("text")
    assert "\x1b" not in stream.getvalue()


def test_when_nobody_reads_it_any_more_nothing_fails() -> None:
    stream = io.StringIO()
    console = Console(stream)
    stream.close()
    console.info("one")
    console.info("two")
