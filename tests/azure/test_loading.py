"""What holds for both programming models: where functions are looked for, and what the app's Python must have."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import azure.functions
import pytest
from support.hosting import write_app
from support.worker_driving import BOOT, LoadBroken, driven_worker

V1: dict[str, Any] = {
    "F/function.json": {"bindings": [{"type": "httpTrigger", "name": "req"}]},
    "F/__init__.py": "def main(req): ...",
}
V2: dict[str, Any] = {
    "function_app.py": """
import azure.functions as func
app = func.FunctionApp()

@app.route("g")
def G(req): ...
"""
}
SITE_PACKAGES = Path(azure.functions.__file__).parents[2]


# Nothing found: always with the reason


def test_an_empty_folder(tmp_path: Path, broken: LoadBroken) -> None:
    error = broken({})
    assert error.message == (
        "no functions found: there is neither a function_app.py (v2) nor a folder with a function.json (v1)"
    )
    assert error.file == str(tmp_path)
    assert error.hint == "Make one:  func new -t HttpTrigger -n HttpTrigger"


@pytest.mark.parametrize("files", [V1, V2])
def test_the_folder_above_an_app(files: dict[str, Any], broken: LoadBroken) -> None:
    error = broken({f"my-app/{name}": content for name, content in files.items()})
    assert error.hint == "Did you mean to start in my-app?"


def test_an_empty_v2_app_beside_v1_functions(broken: LoadBroken) -> None:
    error = broken({"function_app.py": "import azure.functions as func\napp = func.FunctionApp()", **V1})
    assert error.message == "no functions found: the app of this file has none"
    assert "The v1 functions F are ignored, because there is a function_app.py." in str(error.hint)


def test_v2_wins_over_v1(tmp_path: Path) -> None:
    with driven_worker(write_app(tmp_path, {**V1, **V2})) as worker:
        assert list(worker.functions) == ["G"]


# Where modules come from


def test_packages_in_the_apps_folder_come_first_and_its_own_modules_last(tmp_path: Path) -> None:
    packages = ".python_packages/lib/site-packages"
    files = {
        "function_app.py": V2["function_app.py"] + "\nimport sys, json, werkzeug, own\nprint(sys.path)\n"
        "print(json.loads('[1]'), werkzeug.MINE, own.MINE)",
        "json.py": "raise AssertionError('the app hides the module of Python')",
        "own.py": "MINE = 'own'",
        f"{packages}/werkzeug/__init__.py": "MINE = 'package'",
        f"{packages}/werkzeug/http.py": "",
        f"{packages}/werkzeug/formparser.py": "",
        f"{packages}/werkzeug/datastructures.py": "Headers = FileStorage = MultiDict = ImmutableMultiDict = object",
    }
    with driven_worker(write_app(tmp_path, files)) as worker:
        path, found = [line.message for _, line in worker.logs]
        assert found == "[1] package own"
        entries = ast.literal_eval(path)
        assert entries[0] == str(tmp_path / packages)
        assert entries[-1] == str(tmp_path)


def test_the_hosts_own_modules_do_not_hide_the_apps(tmp_path: Path) -> None:
    """Python puts the folder of a script on the path; that of the worker's has modules with common names."""
    files = {"function_app.py": V2["function_app.py"] + "\nimport errors", "errors.py": "print('mine')"}
    with driven_worker(write_app(tmp_path, files)) as worker:
        assert worker.logs[0][1].message == "mine"


def test_the_worker_runs_the_hosts_code_even_where_the_app_has_its_own_copy(tmp_path: Path) -> None:
    packages = ".python_packages/lib/site-packages"
    files = {
        "function_app.py": V2["function_app.py"] + "\nimport worker_ext\nprint(worker_ext.__file__)",
        f"{packages}/worker_ext/__init__.py": "raise AssertionError('the copy in the app')",
    }
    with driven_worker(write_app(tmp_path, files)) as worker:
        assert Path(worker.logs[0][1].message).parent == BOOT.parent


def test_words_may_stand_between_the_interpreter_and_the_worker(tmp_path: Path) -> None:
    """As with ``-m debugpy --listen 5678``: a module that runs the script as the main one."""
    write_app(tmp_path, V2)
    runner = "import runpy, sys; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    (tmp_path / "debugger.py").write_text(runner)
    with driven_worker(tmp_path, python=(sys.executable, "-m", "debugger")) as worker:
        assert list(worker.functions) == ["G"]


# What the app's Python must have: the option -S leaves out its site-packages


def test_a_python_without_azure_functions(broken: LoadBroken) -> None:
    error = broken(V2, python=(sys.executable, "-S"))
    assert error.message == f"the package azure-functions is not installed for the app's Python, {sys.executable}"
    assert error.hint == f"{sys.executable} -m pip install --upgrade azure-functions"
    assert error.detail is None


def test_a_python_with_other_packages_of_azure(tmp_path: Path, broken: LoadBroken) -> None:
    """``azure`` is a namespace that many packages share."""
    files = {**V2, "elsewhere/azure/storage/__init__.py": ""}
    error = broken(files, python=(sys.executable, "-S"), environ={"PYTHONPATH": str(tmp_path / "elsewhere")})
    assert error.message.startswith("the package azure-functions is not installed for the app's Python, ")


def test_an_azure_functions_that_is_too_old_or_broken(tmp_path: Path, broken: LoadBroken) -> None:
    files = {**V2, "elsewhere/azure/functions/__init__.py": "import nothere"}
    error = broken(files, python=(sys.executable, "-S"), environ={"PYTHONPATH": str(tmp_path / "elsewhere")})
    assert error.message.endswith("No module named 'nothere'")
    assert str(tmp_path / "elsewhere") in str(error.detail)


def test_an_azure_functions_that_is_too_old_for_v2(broken: LoadBroken) -> None:
    """The worker runs with versions that had extensions, but no decorators yet."""
    files = {**V2, "sitecustomize.py": "import azure.functions\ndel azure.functions.FunctionRegister"}
    error = broken(files, environ={"PYTHONPATH": "."})
    assert "is too old for the v2 programming model" in error.message


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_azure_functions_may_be_installed_in_the_apps_folder(tmp_path: Path) -> None:
    write_app(tmp_path, V2)
    (tmp_path / ".python_packages" / "lib").mkdir(parents=True)
    (tmp_path / ".python_packages" / "lib" / "site-packages").symlink_to(SITE_PACKAGES)
    with driven_worker(tmp_path, python=(sys.executable, "-S")) as worker:
        assert list(worker.functions) == ["G"]


def test_an_old_python_can_parse_the_script_that_starts_a_worker() -> None:
    ast.parse(BOOT.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_an_old_python_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    with pytest.raises(SystemExit) as caught:
        runpy.run_path(str(BOOT))
    assert str(caught.value.code).startswith(
        f"worker-ext needs Python 3.11 or newer, but the app's is 3.8.18: {sys.executable}"
    )


def test_a_worker_whose_host_cannot_be_reached_says_so_and_ends(tmp_path: Path) -> None:
    command = [sys.executable, str(BOOT), "tcp:127.0.0.1:1", "azure", str(write_app(tmp_path, V2))]
    ended = subprocess.run(command, stdin=subprocess.PIPE, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode == 1
    assert "ConnectionRefusedError" in ended.stderr
