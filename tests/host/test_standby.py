"""The first worker starts beside its host, on a guess; a wrong guess costs nothing but that head start."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from support.hosting import running_host, wait_until, write_app

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")

APP = """
import os, sys
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return " ".join([os.environ.get("COLOUR", "no colour"), os.environ.get("PYTHONHASHSEED", "no seed"), os.getcwd()])
"""


def _settings(**values: str) -> dict[str, object]:
    return {"IsEncrypted": False, "Values": {"FUNCTIONS_WORKER_RUNTIME": "python", **values}}


def _was_on_standby(pid: int) -> bool:
    """Whether a worker was started before it had an address: its command line then has none."""
    return "boot.py\0azure\0" in Path(f"/proc/{pid}/cmdline").read_text()


def test_the_first_worker_is_the_one_that_was_on_standby(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP, "local.settings.json": _settings(COLOUR="green")})
    with running_host(folder) as host:
        assert host.get("/api/hello").text == f"green no seed {folder}"
        assert [_was_on_standby(pid) for pid in host.worker_pids()] == [True]


def test_of_several_workers_one_was_on_standby(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    with running_host(folder, environ={"FUNCTIONS_WORKER_PROCESS_COUNT": "3"}) as host:
        host.wait_for("Worker process started and initialized", count=3)
        assert sorted(_was_on_standby(pid) for pid in host.worker_pids()) == [False, False, True]


@pytest.mark.parametrize(
    "values", [{"PYTHONHASHSEED": "7"}, {"TZ": "Asia/Tokyo"}, {"languageWorkers__python__arguments": "-X dev"}]
)
def test_settings_that_count_at_an_interpreters_start_get_a_worker_of_their_own(
    tmp_path: Path, values: dict[str, str]
) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP, "local.settings.json": _settings(**values)})
    with running_host(folder) as host:
        assert host.get("/api/hello").text == f"no colour {values.get('PYTHONHASHSEED', 'no seed')} {folder}"
        wait_until(lambda: len(host.processes()) == 1, "the end of the process that was on standby")
        assert [_was_on_standby(pid) for pid in host.worker_pids()] == [False]


def test_packages_in_the_apps_folder_come_before_all_that_is_imported(tmp_path: Path) -> None:
    """They may hold another azure-functions than the one that a process on standby has imported by then."""
    folder = write_app(
        tmp_path / "app",
        {"function_app.py": APP, ".python_packages/lib/site-packages/deployed.py": ""},
    )
    with running_host(folder) as host:
        assert [_was_on_standby(pid) for pid in host.worker_pids()] == [False]


def test_an_order_that_no_pipe_would_hold_is_given_at_a_start(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    (folder / "local.settings.json").write_text(json.dumps(_settings(COLOUR="x" * 40_000)))
    with running_host(folder) as host:
        assert host.get("/api/hello").text.startswith("x" * 40_000)
        assert [_was_on_standby(pid) for pid in host.worker_pids()] == [False]
