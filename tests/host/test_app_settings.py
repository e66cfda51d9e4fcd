"""What command line, environment and settings files together mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.hosting import write_app

from worker_ext.errors import ConfigurationError
from worker_ext.host.app_settings import AppSettings, HostOptions, read_settings
from worker_ext.host.interpreter import find_python


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "FUNCTIONS_WORKER_RUNTIME",
        "FUNCTIONS_WORKER_PROCESS_COUNT",
        "AZURE_FUNCTIONS_ENVIRONMENT",
        "VIRTUAL_ENV",
    ):
        monkeypatch.delenv(name, raising=False)


def settings(folder: Path, local: dict[str, Any] | None = None, **options: Any) -> AppSettings:
    write_app(folder, {"local.settings.json": local} if local is not None else {})
    return read_settings(HostOptions(folder, **options))


def test_defaults(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.port, found.processes, found.function_timeout) == (7071, 1, 1800)
    assert (found.development, found.cors, found.cors_credentials) == (True, (), False)
    assert (found.functions, found.arguments, found.warnings) == ((), [], ())


def test_the_command_line_wins_over_the_file(tmp_path: Path) -> None:
    local = {"Host": {"LocalHttpPort": 7000, "CORS": "https://a.example", "CORSCredentials": True}}
    found = settings(tmp_path, local)
    assert (found.port, found.cors, found.cors_credentials) == (7000, ("https://a.example",), True)
    found = settings(tmp_path, local, port=0, cors=["https://b.example"])
    assert (found.port, found.cors) == (0, ["https://b.example"])


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "ours")
    found = settings(tmp_path, {"Values": {"ONE": "theirs", "TWO": "theirs"}})
    assert (found.environ["ONE"], found.environ["TWO"], found.skipped) == ("ours", "theirs", ["ONE"])


def test_workers_are_told_where_the_app_is(tmp_path: Path) -> None:
    environ = settings(tmp_path).environ
    assert environ["AzureWebJobsScriptRoot"] == environ["FUNCTIONS_APPLICATION_DIRECTORY"] == str(tmp_path)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"FUNCTIONS_WORKER_RUNTIME": "dotnet"}, "FUNCTIONS_WORKER_RUNTIME is 'dotnet'"),
        ({"FUNCTIONS_WORKER_PROCESS_COUNT": "0"}, "FUNCTIONS_WORKER_PROCESS_COUNT is '0'; it can be 1 to 10"),
        ({"FUNCTIONS_WORKER_PROCESS_COUNT": "11"}, "FUNCTIONS_WORKER_PROCESS_COUNT is '11'"),
        ({"FUNCTIONS_WORKER_PROCESS_COUNT": "two"}, "FUNCTIONS_WORKER_PROCESS_COUNT is 'two'"),
        ({"languageWorkers__python__arguments": "'-m debugpy"}, "languageWorkers__python__arguments cannot be split"),
    ],
)
def test_values_that_make_no_sense(tmp_path: Path, values: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        settings(tmp_path, {"Values": values})


def test_credentials_for_everybody_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--cors-credentials"):
        settings(tmp_path, cors=["*"], cors_credentials=True)


def test_a_debugger_is_asked_for_by_option_or_by_setting(tmp_path: Path) -> None:
    values = {"languageWorkers__python__arguments": "-m debugpy --listen 9091"}
    assert settings(tmp_path, {"Values": values}).arguments == ["-m", "debugpy", "--listen", "9091"]
    assert settings(tmp_path, {"Values": values}, language_worker="-X dev").arguments == ["-X", "dev"]


def make_python(folder: Path) -> str:
    python = folder / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    return str(python)


class TestTheAppsPython:
    def test_ours_if_there_is_no_other(self, tmp_path: Path) -> None:
        assert find_python({}, tmp_path) == sys.executable
        (tmp_path / ".venv").mkdir()
        assert find_python({}, tmp_path) == sys.executable

    def test_its_own_environment_then_the_active_one_then_the_setting(self, tmp_path: Path) -> None:
        own = make_python(tmp_path / ".venv")
        assert find_python({}, tmp_path) == own
        environ = {"VIRTUAL_ENV": str(tmp_path / "active")}
        assert find_python(environ, tmp_path) == own
        active = make_python(tmp_path / "active")
        assert find_python(environ, tmp_path) == active
        environ["languageWorkers__python__defaultExecutablePath"] = "python3.99"
        assert find_python(environ, tmp_path) == "python3.99"

    @pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
    def test_an_environment_whose_interpreter_was_removed_is_not_passed_over(self, tmp_path: Path) -> None:
        python = tmp_path / ".venv" / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.symlink_to("/nowhere/python3")
        assert find_python({}, tmp_path) == str(python)
