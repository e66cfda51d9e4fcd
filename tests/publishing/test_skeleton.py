"""Every extension package has the same skeleton, so that who knows one knows all."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from importlib.metadata import entry_points
from inspect import signature

import pytest
from azure.functions import AppExtensionBase, FuncExtensionBase
from publishing.projects import ROOT

FILES = ("setup.py", "readme.md", "CHANGELOG.md", "LICENSE", "MANIFEST.in")
WORKED_EXAMPLES = {"python-worker-extension-errors", "python-worker-extension-auth", "python-worker-extension-retry"}
"""Extensions that are there to be read: they are short."""


def read(path):
    return path.read_text(encoding="utf-8")


def test_has_its_files(extension):
    assert all((extension.folder / name).is_file() for name in FILES)
    assert (extension.folder / extension.package / "py.typed").read_bytes() == b""
    assert list((extension.folder / "tests").glob("test_*.py"))


def test_is_named_after_its_folder(extension):
    assert extension.name == f"python-worker-extension-{extension.folder.name}"


def test_has_the_licence_and_the_manifest_of_all(extension):
    assert read(extension.folder / "LICENSE") == read(ROOT / "LICENSE")
    assert read(extension.folder / "MANIFEST.in") == read(ROOT / "extensions" / "timer" / "MANIFEST.in")


def test_has_a_setup_of_the_same_form(extension):
    source = read(extension.folder / "setup.py")
    (call,) = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and _is_setup(node))
    timer = read(ROOT / "extensions" / "timer" / "setup.py")
    (model,) = (node for node in ast.walk(ast.parse(timer)) if isinstance(node, ast.Call) and _is_setup(node))
    own, wanted = ([one.arg for one in each.keywords if one.arg != "extras_require"] for each in (call, model))
    assert own == wanted


def _is_setup(call):
    return isinstance(call.func, ast.Name) and call.func.id == "setup"


def test_its_readme_says_how_to_use_it(extension):
    text = read(extension.folder / "readme.md")
    assert text.startswith("# Python Worker Extension ")
    version = re.search(r'version="(.+)"', read(extension.folder / "setup.py"))[1]
    for wanted in (
        "\n## Use\n",
        f"pip install {extension.name}",
        f"=={version}",
        '"PYTHON_ENABLE_WORKER_EXTENSIONS": "1"',
        f"from {extension.package} import ",
        "\n## Good to know\n",
    ):
        assert wanted in text.replace('"python-', "python-"), wanted


def test_is_a_module_that_says_what_it_is(extension):
    module = import_module(extension.package)
    classes = [getattr(module, name) for name in module.__all__]
    assert any(issubclass(cls, (AppExtensionBase, FuncExtensionBase)) for cls in classes)
    assert "worker extension" in module.__doc__


def test_is_found_by_its_name_and_can_be_configured(extension):
    points = entry_points(group="worker_ext.extensions", name=extension.folder.name)
    (found,) = {point.load() for point in points}
    module = import_module(extension.package)
    assert found.__name__ in module.__all__
    assert issubclass(found, (AppExtensionBase, FuncExtensionBase))
    assert all(
        option.kind in (option.KEYWORD_ONLY, option.POSITIONAL_OR_KEYWORD, option.VAR_KEYWORD, option.VAR_POSITIONAL)
        for option in signature(found.configure).parameters.values()
    )


@pytest.mark.parametrize("name", sorted(WORKED_EXAMPLES))
def test_a_worked_example_is_short(name):
    module = name.replace("-", "_")
    files = (ROOT / "extensions" / name.rpartition("-")[2] / module).rglob("*.py")
    assert sum(len(read(file).splitlines()) for file in files) < 150
