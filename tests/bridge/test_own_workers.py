"""In a worker of this package, and wherever no worker runs at all, importing ``worker_ext`` changes nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest
from bridge.conftest import APPS, FLAG
from support.hosting import write_app
from support.stock_runtime import ROOT
from support.worker_driving import driven_worker

APP = """
import worker_ext
import azure.functions as func
from witness import WitnessExtension

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("plain")
"""


def test_in_our_own_worker_each_hook_runs_once(tmp_path):
    witness = (APPS / "shared" / "witness.py").read_text(encoding="utf-8")
    files = {"function_app.py": APP, "witness.py": witness}
    with driven_worker(write_app(tmp_path, files), environ={FLAG: "1"}) as worker:
        result = worker.result(worker.request("plain"))
        assert result.body == b"plain"
        lines = [line.message for line in result.lines if line.name == "WitnessExtension"]
        assert [line.partition(" in ")[0].partition(":")[0] for line in lines] == ["before plain(req)", "after plain"]


@pytest.mark.parametrize("first", ["", "import azure.functions; "], ids=["alone", "with the SDK"])
def test_where_no_worker_runs_functions_are_asked_for_as_ever(first):
    code = f"""{first}import sys, worker_ext
assert {bool(first)} or "azure.functions" not in sys.modules
from azure.functions import FunctionRegister
assert FunctionRegister.get_functions.__module__.startswith("azure."), FunctionRegister.get_functions"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, env={FLAG: "1"})


def test_our_worker_for_a_functions_host_knows_itself_even_if_the_sdk_has_been_imported_first(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import azure.functions\n", encoding="utf-8")
    boot = ROOT / "worker_ext" / "boot.py"
    done = subprocess.run(
        [sys.executable, str(boot), "--functions-uri", "http://127.0.0.1:1", "--functions-worker-id", "1"],
        env={FLAG: "1", "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1  # there is no such host
    assert "inactive" not in done.stdout + done.stderr
