"""An extension that must not be skipped: where its hooks cannot run, nothing is served."""

from __future__ import annotations

import subprocess

import pytest
from bridge.conftest import get, start_stock
from bridge.test_unknown_runtimes import HTTP, UNKNOWN_PACKAGE, V1_CHANGES, V2_CHANGES, changed_app
from support.hosting import write_app

OFF = "the extension Guard is required, but the setting PYTHON_ENABLE_WORKER_EXTENSIONS is off"
NOT_KNOWN = "the extension Guard is required, but this worker does not run around_invocation_app_level: "

V2 = """
import azure.functions as func
{imports}

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("open")
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    {late}
    return func.HttpResponse("served")
"""

V1 = """
import azure.functions as func
{imports}


def main(req: func.HttpRequest) -> func.HttpResponse:
    {late}
    return func.HttpResponse("served")
"""

CALLS = [get("guarded"), {"function": "guarded", "inputs": {"req": {"http": {"url": "/", "query": {"key": "1"}}}}}]


@pytest.fixture(params=["v2", "v1"])
def make_app(request, tmp_path):
    """Makes an app whose function is guarded by an extension."""

    def make(imports="import guard", late="pass"):
        source = V2 if request.param == "v2" else V1
        code = source.format(imports=imports, late=late)
        if request.param == "v2":
            return write_app(tmp_path, {"function_app.py": code})
        return write_app(tmp_path, {"guarded/__init__.py": code, "guarded/function.json": HTTP})

    make.model = request.param
    return make


def assert_refused(done: subprocess.CompletedProcess[str], model: str, reason: str) -> None:
    """The app was not served: a v2 app is not indexed, the process of a v1 app ends."""
    assert reason in done.stdout + done.stderr
    assert "served" not in done.stdout
    assert done.returncode == (0 if model == "v2" else 1)


def test_where_its_hooks_run_it_decides(run_stock, make_app):
    done = run_stock(make_app(), CALLS)
    assert [answer["returned"]["status"] for answer in done.answers] == ["401", "200"]


def test_with_extensions_off_nothing_is_served(make_app):
    assert_refused(start_stock(make_app(), {"calls": CALLS}, flag=None), make_app.model, OFF)


def test_when_it_comes_with_an_invocation_nothing_is_served_from_then_on(make_app):
    app = make_app("import worker_ext", late="import guard")
    done = start_stock(app, {"calls": CALLS}, flag="0")
    assert done.returncode == 1
    assert OFF in done.stderr
    assert "served" not in done.stdout


def test_an_unknown_worker_does_not_serve(make_app):
    app = make_app(f"{UNKNOWN_PACKAGE}\nimport guard")
    done = start_stock(app, {"calls": CALLS, "options": ["--workerId", "1"]}, flag="1")
    assert done.returncode == 1
    assert NOT_KNOWN in done.stderr


@pytest.mark.parametrize("change", ["no such class in the SDK", "no event loop", "no context for functions"])
def test_a_changed_runtime_for_v2_apps_does_not_serve(tmp_path, change):
    before, after, reason = V2_CHANGES[change]
    done = start_stock(
        changed_app(tmp_path, "v2", before, f"{after}\nimport guard"), {"calls": [get("sync")]}, flag="1"
    )
    assert NOT_KNOWN in done.stdout + done.stderr
    assert reason in done.stdout + done.stderr
    assert '"body": "sync"' not in done.stdout


@pytest.mark.parametrize("change", ["another module", "other entries"])
def test_a_changed_runtime_for_v1_apps_does_not_serve(tmp_path, change):
    before, after, reason = V1_CHANGES[change]
    done = start_stock(
        changed_app(tmp_path, "v1", before, f"{after}\nimport guard"), {"calls": [get("sync")]}, flag="1"
    )
    assert done.returncode == 1
    assert NOT_KNOWN in done.stderr
    assert reason in done.stderr
