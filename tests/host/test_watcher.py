"""Which changes call for a reload. That they are noticed at all is shown by test_reload.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker_ext.host.watcher import concerns_the_app, is_installation


@pytest.mark.parametrize(
    "path", ["function_app.py", "a/b/c.py", "hello/function.json", "host.json", "local.settings.json", "removed.py"]
)
def test_code_and_settings_do(tmp_path: Path, path: str) -> None:
    assert concerns_the_app(tmp_path / path, tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        ".venv/lib/x.py", ".git/x.py", ".vscode/launch.py", "a/__pycache__/x.py", "node_modules/x.py", "venv/x.py",
        ".python_packages/lib/site-packages/x.py", "tools/lib/site-packages/x.py", "x.pyc", "x.txt", "x.py.tmp~",
        "other/host.json", "__blobstorage__/x.py", "../x.py",
    ],
)  # fmt: skip
def test_everything_else_does_not(tmp_path: Path, path: str) -> None:
    assert not concerns_the_app((tmp_path / path), tmp_path / "." if not path.startswith("..") else tmp_path / "app")


def test_host_json_can_name_more(tmp_path: Path) -> None:
    for path in ("model.bin", "data/x.csv", "data/deep/x.csv"):
        assert not concerns_the_app(tmp_path / path, tmp_path)
        assert concerns_the_app(tmp_path / path, tmp_path, files=["model.bin"], folders=["data"])
    assert not concerns_the_app(tmp_path / "database" / "x.csv", tmp_path, folders=["data"])


def test_a_folder_does_if_something_in_it_does(tmp_path: Path) -> None:
    for folder in ("code", "code/deep", ".venv", "empty", "texts", "node_modules"):
        (tmp_path / folder).mkdir()
    for file in ("code/deep/x.py", ".venv/x.py", "texts/x.txt", "node_modules/x.py"):
        (tmp_path / file).touch()
    found = {path.name for path in tmp_path.iterdir() if concerns_the_app(path, tmp_path)}
    assert found == {"code"}


def test_an_installed_package_shows_by_its_metadata() -> None:
    packages = Path("/app/.venv/lib/python3.13/site-packages")
    assert is_installation(packages / "azure_functions-2.0.dist-info")
    assert is_installation(packages / "azure_functions-2.0.dist-info" / "RECORD")
    assert not is_installation(packages / "azure" / "functions" / "__init__.py")
