"""What the whole source tree keeps to, read from its syntax trees: imports, docstrings, size, and no code from data."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "worker_ext"
EXTENSIONS = sorted(folder for folder in (ROOT / "extensions").glob("*/*") if (folder / "__init__.py").is_file())

DOOR = "worker_ext"
"""The package itself, of which extensions import their names."""

NOUNS = {"errors", "function", "invocation", "context"}

MAY_IMPORT: dict[str, set[str]] = {
    "errors": set(),
    **dict.fromkeys(NOUNS - {"errors"}, NOUNS),
    "jsonc": {"errors"},
    "transports": {"errors"},
    "hooks": NOUNS,
    "bridge": NOUNS | {"jsonc", "hooks"},
    DOOR: NOUNS | {"hooks", "bridge"},
    "worker": NOUNS | {DOOR, "hooks"},
    "runtimes": NOUNS | {DOOR, "jsonc", "hooks", "transports", "worker"},
    "boot": {"runtimes"},
    "host": NOUNS | {DOOR, "jsonc", "hooks", "transports", "worker", "runtimes"},
    "cli": NOUNS | {DOOR, "jsonc", "hooks", "transports", "worker", "runtimes", "host"},
    "testing": NOUNS | {DOOR, "jsonc", "hooks", "transports", "worker", "runtimes", "host"},
    "pytest_plugin": {"testing"},
    "__main__": {"cli"},
}
"""What each part of worker_ext, a module or a folder, may import of the other parts. A new part gets a line here."""

MAX_LINES = 400

CODE_FROM_DATA = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
"""Modules that can run code when they read bytes."""


@dataclass(frozen=True)
class Import:
    """One import statement's view of one module."""

    importer: str
    target: str
    file: Path
    line: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.target}"


def modules_of(package: Path) -> dict[str, Path]:
    """Dotted name → file of every module below a package's folder, the package itself included; none generated."""
    found = {}
    for file in sorted(package.rglob("*.py")):
        if file.stem.endswith("_pb2"):
            continue
        parts = file.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports_of(modules: Mapping[str, Path]) -> list[Import]:
    """Every import in these modules, wherever it stands: in a function or under ``TYPE_CHECKING`` too."""
    found = []
    for importer, file in modules.items():
        package = importer.split(".") if file.name == "__init__.py" else importer.split(".")[:-1]
        for node in ast.walk(_parse(file)):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                above = package[: len(package) + 1 - node.level] if node.level else []
                source = ".".join([*above, *([node.module] if node.module else [])])
                names = [f"{source}.{alias.name}" for alias in node.names]
                targets = [name if name in modules else source for name in names]
            else:
                continue
            found += [Import(importer, target, file, node.lineno) for target in targets]
    return found


def part_of(module: str) -> str:
    """The part of worker_ext that a module belongs to."""
    return module.split(".")[1] if "." in module else DOOR


def is_in(module: str, package: str) -> bool:
    """Whether it is the package or lies below it."""
    return module == package or module.startswith(f"{package}.")


def against_the_layers(imports: Iterable[Import]) -> list[Import]:
    """Imports within worker_ext that :data:`MAY_IMPORT` does not allow."""
    return [
        found
        for found in imports
        if is_in(found.target, DOOR)
        and part_of(found.target) not in MAY_IMPORT[part_of(found.importer)] | {part_of(found.importer)}
    ]


def of_another_runtime(imports: Iterable[Import]) -> list[Import]:
    """Imports of one runtime's modules by another runtime, or by what all runtimes share."""
    return [
        found
        for found in imports
        if is_in(found.importer, "worker_ext.runtimes")
        and (runtime := _runtime_of(found.target)) is not None
        and runtime != _runtime_of(found.importer)
    ]


def _runtime_of(module: str) -> str | None:
    parts = module.split(".")
    is_a_runtime = parts[:2] == ["worker_ext", "runtimes"] and len(parts) > 2
    return parts[2] if is_a_runtime and (CORE / "runtimes" / parts[2]).is_dir() else None


def undocumented(file: Path) -> list[str]:
    """The public names of a module that have no docstring."""
    tree = _parse(file)
    nameless = [] if ast.get_docstring(tree) else [f"{file}: the module"]
    return nameless + [
        f"{file}:{node.lineno}: {node.name}" for node in _public_definitions(tree) if not ast.get_docstring(node)
    ]


def _public_definitions(parent: ast.AST) -> Iterator[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name.startswith("_"):
                continue
            yield node
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):  # what a function defines is its own business
            yield from _public_definitions(node)


def code_from_data(modules: Mapping[str, Path]) -> list[str]:
    """Where modules could run code that they are sent."""
    found = [str(one) for one in imports_of(modules) if one.target.split(".")[0] in CODE_FROM_DATA]
    for file in modules.values():
        for node in ast.walk(_parse(file)):
            # A mention is enough: `run = eval` is no better than a call.
            if isinstance(node, ast.Name) and node.id in ("eval", "exec"):
                found.append(f"{file}:{node.lineno}: {node.id}")
    return found


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


class TestWorkerExt:
    def test_every_part_has_its_place(self):
        parts = {part_of(module) for module in modules_of(CORE)}
        assert parts <= MAY_IMPORT.keys(), "say in MAY_IMPORT what the new part may import, and who may import it"

    def test_imports_point_one_way(self):
        assert not _lines(against_the_layers(imports_of(modules_of(CORE))))

    def test_no_module_imports_itself_by_way_of_others(self):
        modules = modules_of(CORE)
        graph: dict[str, set[str]] = {name: set() for name in modules}
        for found in imports_of(modules):
            graph[found.importer].add(found.target)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            pytest.fail(" -> ".join(error.args[1]))

    def test_no_runtime_imports_another(self):
        assert not _lines(of_another_runtime(imports_of(modules_of(CORE))))

    def test_the_core_imports_no_extension(self):
        packages = [folder.name for folder in EXTENSIONS]
        found = imports_of(modules_of(CORE))
        assert not _lines(one for one in found if any(is_in(one.target, package) for package in packages))

    def test_nothing_runs_code_that_it_is_sent(self):
        assert not _lines(code_from_data(modules_of(CORE)))


@pytest.mark.parametrize("package", EXTENSIONS, ids=lambda package: package.name)
def test_extensions_import_only_the_door(package):
    modules = modules_of(package) | modules_of(CORE)
    found = [one for one in imports_of(modules) if is_in(one.importer, package.name)]
    assert not _lines(one for one in found if is_in(one.target, DOOR) and one.target != DOOR)


@pytest.mark.parametrize("package", [CORE, *EXTENSIONS], ids=lambda package: package.name)
def test_everything_public_has_a_docstring(package):
    public = [file for name, file in modules_of(package).items() if "._" not in name or name.endswith("__")]
    assert not _lines(line for file in public for line in undocumented(file))


@pytest.mark.parametrize("folder", [CORE, ROOT / "extensions"], ids=lambda folder: folder.name)
def test_files_are_short(folder):
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in folder.rglob("*.py")}
    assert not _lines(f"{file}: {length} lines" for file, length in lengths.items() if length > MAX_LINES)


def _lines(found: Iterable[object]) -> str:
    """One finding a line, as pytest shows a text that should have been empty."""
    return "\n".join(str(one).replace(f"{ROOT}{os.sep}", "") for one in found)


class TestTheChecks:
    """Each check finds what it is for, in a source tree that breaks the rules."""

    @pytest.fixture
    def write(self, tmp_path):
        def write(name: str, source: str) -> dict[str, Path]:
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(dedent(source), encoding="utf-8")
            return modules_of(tmp_path / "worker_ext")

        write("worker_ext/__init__.py", "")
        write("worker_ext/errors.py", "")
        write("worker_ext/host/__init__.py", "")
        write("worker_ext/host/app.py", "")
        return write

    @pytest.mark.parametrize(
        ("source", "target"),
        [
            ("import worker_ext.host.app", "worker_ext.host.app"),
            ("import worker_ext.host.app as app", "worker_ext.host.app"),
            ("from worker_ext.host import app", "worker_ext.host.app"),
            ("from worker_ext.host.app import serve", "worker_ext.host.app"),
            ("from worker_ext.host.app import *", "worker_ext.host.app"),
            ("from ..host import app", "worker_ext.host.app"),
            ("from ..host.app import serve", "worker_ext.host.app"),
            ("from .. import host", "worker_ext.host"),
            ("def late():\n    from ..host import app", "worker_ext.host.app"),
            ("if TYPE_CHECKING:\n    from ..host import app", "worker_ext.host.app"),
        ],
    )
    def test_imports_are_seen_in_all_their_forms(self, write, source, target):
        found = against_the_layers(imports_of(write("worker_ext/hooks/pipeline.py", source)))
        assert [one.target for one in found] == [target]

    @pytest.mark.parametrize("source", ["from ..errors import E", "from . import registry", "import json, azure"])
    def test_what_is_allowed_is_not_found(self, write, source):
        assert against_the_layers(imports_of(write("worker_ext/hooks/pipeline.py", source))) == []

    def test_relative_imports_of_a_package_start_at_itself(self, write):
        modules = write("worker_ext/host/__init__.py", "from . import app\nfrom .. import errors")
        assert [one.target for one in imports_of(modules)] == ["worker_ext.host.app", "worker_ext.errors"]

    def test_what_runtimes_share_may_import_none_of_them(self, write):
        modules = write("worker_ext/runtimes/serve.py", "from .azure import runtime\nfrom .base import Runtime")
        assert [one.target for one in of_another_runtime(imports_of(modules))] == ["worker_ext.runtimes.azure"]

    def test_public_names_without_a_docstring(self, write):
        source = """
            def function(): ...
            def _private(): ...
            class Class:
                '''Documented.'''
                async def method(self):
                    def inner(): ...
                def __repr__(self): ...
            if True:
                class Conditional: ...
            """
        modules = write("worker_ext/names.py", source)
        assert [line.rpartition(": ")[2] for line in undocumented(modules["worker_ext.names"])] == [
            "the module",
            "function",
            "method",
            "Conditional",
        ]

    @pytest.mark.parametrize(
        "source", ["import pickle", "from marshal import loads", "eval('1')", "run = exec", "import shelve as shelf"]
    )
    def test_code_from_data(self, write, source):
        assert len(code_from_data(write("worker_ext/danger.py", source))) == 1

    @pytest.mark.parametrize("source", ["spec.loader.exec_module(m)", "asyncio.create_subprocess_exec()", "'eval'"])
    def test_no_code_from_data(self, write, source):
        assert code_from_data(write("worker_ext/safe.py", source)) == []
