"""Everything is published once, and one customer installs it all: what the tests of this folder look at."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from publishing.customer import Customer, installed_dependencies
from publishing.projects import (
    CLASSIC,
    EXTENSIONS,
    MODERN,
    PROJECTS,
    Build,
    Project,
    Release,
    offline,
    run_line,
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a project or its release for every project; ``extension`` leaves out worker-ext."""
    for name, projects in {"project": PROJECTS, "extension": EXTENSIONS}.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, projects, ids=[one.name for one in projects])


@dataclass(frozen=True)
class Indexes:
    """A server with two indexes, ``pypi`` and ``testpypi``.

    :param folder: holds a folder for each, with the files that were uploaded.
    """

    folder: Path
    url: str
    _log: Path

    def simple(self, name: str) -> str:
        """What pip is given as ``--index-url``."""
        return f"{self.url}/{name}/simple/"

    def files(self, name: str) -> dict[str, bytes]:
        """Name → content of what was uploaded to an index."""
        return {file.name: file.read_bytes() for file in (self.folder / name).iterdir()}

    @property
    def log(self) -> str:
        """The requests that the server has answered."""
        return self._log.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def indexes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Indexes]:
    """A package index as PyPI is one, and a second one to try things on, in a process of their own."""
    pytest.importorskip("pypiserver", reason="without a package index there is nowhere to publish to")
    folder = tmp_path_factory.mktemp("indexes")
    folders = [folder / "pypi", folder / "testpypi"]
    for each in folders:
        each.mkdir()
    log = tmp_path_factory.mktemp("log") / "requests.log"
    script = Path(__file__).with_name("index_server.py")
    with (
        log.open("wb") as log_file,
        subprocess.Popen(
            [sys.executable, str(script), *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
        ) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().decode().strip()
        assert port, log.read_text()
        yield Indexes(folder, f"http://127.0.0.1:{port}", log)
        # Leaving the block closes its standard input, whereupon it ends.


@pytest.fixture(scope="session")
def author(tmp_path_factory: pytest.TempPathFactory, indexes: Indexes) -> dict[str, str]:
    """The environment of an author who has an account on both indexes."""
    home = tmp_path_factory.mktemp("author")
    account = "username = author\npassword = not a secret\n"
    (home / ".pypirc").write_text(
        "[distutils]\nindex-servers =\n    pypi\n    testpypi\n"
        + "".join(f"\n[{name}]\nrepository = {indexes.url}/{name}/\n{account}" for name in ("pypi", "testpypi")),
        encoding="utf-8",
    )
    return offline(home)


@pytest.fixture(scope="session")
def publish(tmp_path_factory: pytest.TempPathFactory, author: dict[str, str]) -> Callable[[Project], Release]:
    """Builds, checks and uploads a project both ways, if that has not been done yet."""

    def follow(project: Project, lines: tuple[str, ...]) -> Build:
        source = project.copy(tmp_path_factory.mktemp("source") / project.package)
        for line in lines:
            run_line(line, cwd=source, environ=author)
        return Build(project, source)

    @cache
    def publish(project: Project) -> Release:
        return Release(project, follow(project, CLASSIC), follow(project, MODERN))

    return publish


@pytest.fixture
def release(project: Project, publish: Callable[[Project], Release]) -> Release:
    """What came of publishing the project."""
    return publish(project)


@pytest.fixture(scope="session")
def customer(
    tmp_path_factory: pytest.TempPathFactory, indexes: Indexes, publish: Callable[[Project], Release]
) -> Customer:
    """Somebody whose pip knows only the index called pypi, and who has already what our packages need of others.

    A network would be the other way to get that. What is ours is not there yet.
    """
    folder = tmp_path_factory.mktemp("customer")
    environ = {**offline(folder), "PIP_INDEX_URL": indexes.simple("pypi")}
    customer = Customer.move_in(folder / "app", environ)
    requirements = [
        text for project in PROJECTS for text in publish(project).classic.metadata.get_all("Requires-Dist", [])
    ]
    ours = {project.name for project in PROJECTS}
    customer.give(installed_dependencies(requirements, extras={"host"}, besides=ours))
    return customer
