"""``func extensions new``: what it makes is a package that works as it is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

from worker_ext.cli.main import main

REPOSITORY = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environ},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def package(folder):
    assert main(["extensions", "new", "audit-trail"]) == 0
    return folder / "python-worker-extension-audit-trail"


def test_the_files(package, capsys):
    files = {path.relative_to(package).as_posix() for path in package.rglob("*") if path.is_file()}
    assert files == {
        "setup.py",
        "readme.md",
        "CHANGELOG.md",
        "LICENSE",
        "MANIFEST.in",
        ".gitignore",
        ".github/workflows/test.yml",
        "src/python_worker_extension_audit_trail/__init__.py",
        "src/python_worker_extension_audit_trail/py.typed",
        "tests/test_audit_trail.py",
    }
    assert "class AuditTrailExtension(AppExtensionBase)" in (
        package / "src/python_worker_extension_audit_trail/__init__.py"
    ).read_text("utf-8")
    for file in package.rglob("*.py"):
        assert ast.get_docstring(ast.parse(file.read_text("utf-8")))
    workflow = yaml.safe_load((package / ".github/workflows/test.yml").read_text("utf-8"))
    assert "python -m pytest" in [step.get("run") for step in workflow["jobs"]["pytest"]["steps"]]
    assert not [
        file for file in package.rglob("*") if file.is_file() and "$" in file.read_text("utf-8").replace("${{", "")
    ]


def test_it_passes_its_own_tests_in_an_environment_of_its_own_and_finds_its_entry_point(package, tmp_path):
    """... into which nothing is put but what is installed here already, and the package itself."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (python,) = (file for file in home.glob("*/python*") if file.stem == "python")
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=tmp_path).strip())
    # What pip would download is taken from this environment.
    ours = {entry for entry in sys.path if entry.endswith(("site-packages", "dist-packages"))}
    (site / "installed.pth").write_text("\n".join([*sorted(ours), str(REPOSITORY)]))
    install = ("-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", "--target", site)
    run(sys.executable, *install, package, cwd=package)

    printed = run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=package, PYTHONPATH="")
    assert "7 passed" in printed
    code = (
        "from importlib.metadata import entry_points\n"
        "(point,) = entry_points(group='worker_ext.extensions', name='audit-trail')\n"
        "print(point.load())"
    )
    assert "AuditTrailExtension" in run(python, "-c", code, cwd=tmp_path, PYTHONPATH="")


def test_it_can_be_built_and_published(package):
    run(sys.executable, "-m", "build", "--no-isolation", cwd=package)
    run(sys.executable, "-m", "twine", "check", "--strict", *(package / "dist").iterdir(), cwd=package)
    (wheel,) = (package / "dist").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "python_worker_extension_audit_trail/py.typed" in names
    assert not [name for name in names if name.startswith(("src/", "tests/"))]


@pytest.mark.parametrize("name", ["audit", "python-worker-extension-audit", "Audit", "python_worker_extension_audit"])
def test_every_spelling_of_the_name(folder, name):
    assert main(["extensions", "new", name]) == 0
    assert (folder / "python-worker-extension-audit" / "tests" / "test_audit.py").is_file()


@pytest.mark.parametrize("name", ["", "1st", "a b", "../up", "a--b", "né", "a.b"])
def test_a_name_that_does_not_do(folder, capsys, name):
    assert main(["extensions", "new", name]) == 1
    assert "cannot be an extension's name" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_name_that_no_file_system_takes(folder, capsys):
    assert main(["extensions", "new", "a" * 300]) == 1
    assert "can have 64 letters, and this one has 300" in capsys.readouterr().err
    assert list(folder.iterdir()) == []


def test_a_word_of_the_language_is_a_name_like_others(folder):
    assert main(["extensions", "new", "class"]) == 0
    (module,) = (folder / "python-worker-extension-class" / "src").glob("*/__init__.py")
    assert "class ClassExtension(AppExtensionBase)" in module.read_text()
    for file in folder.rglob("*.py"):
        ast.parse(file.read_text())


def test_a_folder_that_is_not_empty_is_left_alone(folder, capsys):
    (folder / "mine.txt").write_text("mine")
    assert main(["extensions", "new", "audit", "."]) == 1
    assert "not empty" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]
