"""What is built of this project is complete, and names what it needs."""

from __future__ import annotations

import email
import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "python_worker_extension_telemetry"

pytestmark = pytest.mark.skipif(
    not (importlib.util.find_spec("setuptools") and importlib.util.find_spec("wheel")),
    reason="building packages takes setuptools and wheel",
)


def run(*command: str, cwd: Path, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, *command], cwd=cwd, capture_output=True, text=True, env={**os.environ, **environment}
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = tmp_path_factory.mktemp("build") / "telemetry"
    shutil.copytree(ROOT, project, ignore=shutil.ignore_patterns("__pycache__", "build", "dist", "*.egg-info"))
    run("setup.py", "-q", "sdist", "bdist_wheel", cwd=project)
    return project / "dist"


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def test_the_wheel_is_pure_python_and_has_the_package_and_nothing_else(wheel: Path):
    assert wheel.name == f"{PACKAGE}-1.0.0-py3-none-any.whl"
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {f"{PACKAGE}/{path.name}" for path in (ROOT / PACKAGE).glob("*.py")}
    assert names == {*modules, f"{PACKAGE}/py.typed"}
    assert f"{PACKAGE}/extension.py" in modules
    assert any(name.endswith("LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_metadata(wheel: Path):
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    metadata = email.message_from_bytes(archive.read(name))

    requirements = {line.replace(" ", "").replace("'", '"') for line in metadata.get_all("Requires-Dist")}
    assert requirements == {
        "azure-functions>=1.7.0",  # an upper bound would install an old one on Python 3.13 and later
        "opencensus>=0.11.4",
        'opencensus-ext-azure>=1.1.15;extra=="azure"',
        'opencensus-ext-requests>=0.8.0;extra=="requests"',
    }
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "OpenCensusExtension.configure" in metadata.get_payload()


@pytest.mark.skipif(not importlib.util.find_spec("opencensus"), reason="takes opencensus")
def test_hosts_find_it_by_its_entry_point(wheel: Path, tmp_path: Path):
    zipfile.ZipFile(wheel).extractall(tmp_path)
    printed = run(
        "-c",
        "from importlib.metadata import entry_points\n"
        "(point,) = entry_points(group='worker_ext.extensions', name='telemetry')\n"
        "print(point.load().__name__)",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
    )
    assert printed.strip() == "OpenCensusExtension"


def test_the_source_archive_is_enough_to_build_from(dist: Path, tmp_path: Path):
    (archive,) = dist.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path, filter="data")
    project = tmp_path / f"{PACKAGE}-1.0.0"
    if not project.exists():  # setuptools before 69.3 keeps the hyphens
        project = tmp_path / "python-worker-extension-telemetry-1.0.0"
    assert (project / "tests" / "test_spans.py").is_file()
    run("setup.py", "-q", "bdist_wheel", cwd=project)
    assert list((project / "dist").glob("*.whl"))
