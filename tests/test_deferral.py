"""A package's parts without the rest of it, until somebody asks for that."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DEFER = "import sys; from worker_ext.runtimes.deferral import defer; defer('package')\n"


@pytest.fixture
def run(tmp_path: Path):
    """Runs some Python in a process of its own, beside a package whose ``__init__`` says when it runs."""
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("print('whole')\nfrom .other import value\nname = 'name'\n")
    (package / "part.py").write_text("from . import other\nprint('part', other.value)\n")
    (package / "other.py").write_text("value = 1\n")

    def run(source: str) -> list[str]:
        root = str(Path(__file__).resolve().parents[1])
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {root!r})\n" + source]
        return subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True).stdout.split("\n")[:-1]

    return run


def test_parts_do_not_need_the_whole(run) -> None:
    assert run(DEFER + "import package.part; from package import part; import package as p; p.other") == ["part 1"]


@pytest.mark.parametrize("ask", ["import package; package.name", "from package import name", "from package import *"])
def test_a_name_of_its_own_runs_the_whole_once(run, ask: str) -> None:
    assert run(DEFER + "import package.part\n" + ask + "\nprint(type(sys.modules['package']).__name__)") == [
        "part 1",
        "whole",
        "module",
    ]


def test_what_it_does_not_have_is_an_attribute_error(run) -> None:
    assert run(DEFER + "import package; print(getattr(package, 'nothing', 'none'))") == ["whole", "none"]


def test_packages_that_are_there_already_or_not_at_all_are_left_alone(run) -> None:
    assert run("import package\n" + DEFER + "import package.part") == ["whole", "part 1"]
    assert run("from worker_ext.runtimes.deferral import defer; defer('no_such_package')\nprint('done')") == ["done"]


def test_the_sdk_is_imported_without_werkzeugs_server() -> None:
    source = (
        "from worker_ext.runtimes.app_session import prepare; prepare('azure'); import sys\n"
        "print('werkzeug.serving' in sys.modules, 'azure.functions' in sys.modules)\n"
        "from werkzeug import Request; print(Request.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True", "Request"]
