"""Where the worker's own packages come from, and how a host finds the worker."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

import worker_ext
from worker_ext.cli.main import main
from worker_ext.testing.rpc_host import RpcHost

APP = """
import sys
import azure.functions as func

app = func.FunctionApp()

@app.route(route="where")
def where(req: func.HttpRequest) -> str:
    import google.protobuf, h2
    try:
        import pytest
        found = "and more"
    except ImportError:
        found = "and nothing else"
    return "|".join((h2.__file__, google.protobuf.__file__, found, str("grpc" in sys.modules)))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place that worker-ext is installed in, with the packages that its worker needs and one more."""
    folder = tmp_path_factory.mktemp("installed")
    shutil.copytree(Path(worker_ext.__file__).parent, folder / "worker_ext")
    _copy_packages(folder, "h2", "hpack", "hyperframe", "google.protobuf", "google._upb", "pytest")
    return folder


def _copy_packages(folder: Path, *names: str) -> None:
    for name in names:
        spec = find_spec(name)
        assert spec is not None
        assert spec.submodule_search_locations
        shutil.copytree(spec.submodule_search_locations[0], folder / Path(*name.split(".")))


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app whose environment has azure-functions and nothing of ours."""
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text("{}")
    venv.create(tmp_path / "env", with_pip=False)
    site = sysconfig.get_path("purelib", "venv", {"base": str(tmp_path / "env")})
    _copy_packages(Path(site), "azure.functions", "werkzeug", "markupsafe")
    return tmp_path


def where(app: Path, installed: Path) -> list[str]:
    python = app / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with RpcHost(app, (str(python), str(installed / "worker_ext" / "boot.py"))) as host:
        host.start()
        return host.http("where").return_value.string.split("|")


def test_an_app_that_lacks_them_is_lent_the_worker_s_packages_and_no_others(app, installed):
    h2, protobuf, others, grpc = where(app, installed)
    assert Path(h2).is_relative_to(installed)
    assert Path(protobuf).is_relative_to(installed)
    assert others == "and nothing else"
    assert grpc == "False"


def test_what_the_app_brings_comes_first(app, installed):
    brought = app / ".python_packages" / "lib" / "site-packages"
    brought.mkdir(parents=True)
    _copy_packages(brought, "google.protobuf", "google._upb")
    h2, protobuf, _, _ = where(app, installed)
    assert Path(h2).is_relative_to(installed)
    assert Path(protobuf).is_relative_to(brought)


def test_a_python_that_has_them_nowhere_is_told_what_to_install(app, tmp_path_factory):
    bare = tmp_path_factory.mktemp("bare")
    shutil.copytree(Path(worker_ext.__file__).parent, bare / "worker_ext")
    python = app / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    words = [str(python), str(bare / "worker_ext" / "boot.py"), "--functions-uri=http://127.0.0.1:1/"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 1
    assert 'pip install "worker-ext[rpc]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_protobuf_of_the_app_s_that_is_too_old_is_told_with_its_place(app, installed):
    package = app / ".python_packages" / "lib" / "site-packages" / "google" / "protobuf"
    (package / "internal").mkdir(parents=True)
    (package / "__init__.py").write_text('__version__ = "3.19.6"\n')
    (package / "internal" / "__init__.py").write_text("")  # without the `builder` that came with 3.20
    python = app / "env" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    with RpcHost(app, (str(python), str(installed / "worker_ext" / "boot.py"))) as host:
        assert host.process.wait(host.deadline) == 1
    told = "\n".join(host.printed)
    assert f"the app brings protobuf 3.19.6 ({package / '__init__.py'})" in told
    assert "3.20.2 or newer" in told
    assert "Traceback" not in told


def test_the_folder_for_the_host_is_printed(capsys):
    assert main(["worker-directory"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    description = json.loads((folder / "worker.config.json").read_text())["description"]
    assert description["language"] == "python"
    assert description["extensions"] == [".py"]
    worker = folder / description["defaultWorkerPath"]
    assert worker.is_file()
