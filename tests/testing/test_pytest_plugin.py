"""What pytest finds when worker-ext is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

TESTS = """
import azure.functions as func

def local():
    class Mine(func.AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, *args, **kwargs):
            logger.info("mine")
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

    @app.route("hello")
    def hello(req):
        return "Hello"
    return app

def test_one(function_app_client):
    client = function_app_client(local())
    assert client.extensions == ["Mine"]
    assert client.get("/api/hello").messages == ["mine"]

def test_two(function_app_client):
    client = function_app_client(local())
    assert client.extensions == ["Mine"]
    assert client.get("/api/hello").messages == ["mine"]

def test_files(function_app_folder):
    folder = function_app_folder({"a/b.txt": "text", "c.bin": b"bytes", "d.json": {"e": 1}})
    assert (folder / "a" / "b.txt").read_text() == "text"
    assert (folder / "host.json").is_file()
"""

PATCHING = """
import os

import azure.functions as func
import pytest

class Mine(func.AppExtensionBase):
    level = "own"

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("hello")
def hello(req):
    return os.environ["BEFORE"] + os.environ["SETTING"] + Mine.level

def patched(monkeypatch, function_app_client):
    monkeypatch.setenv("BEFORE", "before ")
    monkeypatch.setattr(Mine, "level", "patched")
    client = function_app_client(app, settings={"SETTING": "setting "})
    assert client.get("/api/hello").text == "before setting patched"
    monkeypatch.setenv("SETTING", "within ")
    monkeypatch.setattr(Mine, "level", "twice")
    assert client.get("/api/hello").text == "before within twice"
    another = function_app_client(app, settings={"SETTING": "another "})
    assert another.get("/api/hello").text == "before another patched"
    monkeypatch.setenv("BEFORE", "other ")
    assert another.get("/api/hello").text == "other another patched"
    assert client.get("/api/hello").text == "before within twice"

def test_one(monkeypatch, function_app_client):
    patched(monkeypatch, function_app_client)

def test_two(function_app_client, monkeypatch):
    as_before()
    patched(monkeypatch, function_app_client)

def test_three():
    as_before()

def as_before():
    assert Mine.level == "own"
    assert not {"BEFORE", "SETTING"} & set(os.environ)
"""


def run(*command: str, cwd: Path) -> str:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, *command], cwd=cwd, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_is_found_by_its_entry_point():
    (point,) = entry_points(group="pytest11", name="worker_ext")
    assert point.value == "worker_ext.pytest_plugin"


def test_it_imports_neither_the_sdk_nor_a_client(tmp_path):
    code = "import sys, worker_ext.pytest_plugin; print({'azure', 'worker_ext.testing', 'asyncio'} & set(sys.modules))"
    assert run("-c", f"import asyncio; del __import__('sys').modules['asyncio']; {code}", cwd=tmp_path) == "set()\n"


def test_its_fixtures_and_what_is_forgotten_after_a_test(tmp_path):
    (tmp_path / "test_it.py").write_text(TESTS)
    assert "3 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)


def test_what_a_test_patches_is_undone_whichever_fixture_it_asks_for_first(tmp_path):
    (tmp_path / "test_it.py").write_text(PATCHING)
    assert "3 passed" in run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=tmp_path)


def test_a_client_needs_worker_ext_alone(tmp_path):
    """... and what that needs: no local host, no storage, no gRPC, no MQTT."""
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)\n"
        "@app.route('hello')\ndef hello(req): return 'Hello.'\n"
    )
    code = """
import importlib.metadata, sys
allowed = {"azure", "werkzeug", "markupsafe", "worker_ext", "function_app"}
class Blocked:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        ours = top in allowed and not name.startswith(("azure.storage", "azure.core", "azure.data"))
        if not ours and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Blocked())
from worker_ext.testing import FunctionAppClient
with FunctionAppClient(".") as client:
    print(client.get("/api/hello").text)
"""
    assert run("-c", code, cwd=tmp_path) == "Hello.\n"
