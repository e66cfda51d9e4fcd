"""The way of a package: from its author over an index into a customer's app, with nothing but this machine."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from pathlib import Path

import pytest
from publishing.projects import CLASSIC, EXTENSIONS, MODERN, PROJECTS, ROOT, WORKER_EXT, offline, run
from support.hosting import running_host

GUIDE = ROOT / "docs" / "publishing.md"

WHAT_IS_THERE = """
import importlib.metadata, json, sys
print(json.dumps({
    "packages": [found.name for found in importlib.metadata.distributions()],
    "extensions": {
        point.dist.name: sys.modules[point.load().__module__].__file__
        for point in importlib.metadata.entry_points(group="worker_ext.extensions")
    },
}))
"""


class TestUpload:
    def test_the_indexes_hold_what_was_built(self, release, indexes):
        for build, index in ((release.classic, "pypi"), (release.modern, "testpypi")):
            uploaded = indexes.files(index)
            assert uploaded[build.wheel.name] == build.wheel.read_bytes()
            assert uploaded[build.sdist.name] == build.sdist.read_bytes()

    def test_the_guide_shows_the_commands_that_are_run_here(self):
        blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        commands = {line for block in blocks for line in block.splitlines()}
        assert {line for line in commands if not line.startswith("pip install ")} == {*CLASSIC, *MODERN}


@pytest.fixture(scope="session")
def reports(customer):
    """What pip reports when the customer does what the tutorial of Azure says.

    Afterwards the app has a function that answers requests, and the timer extension is configured in it.
    """
    assert not {project.name for project in PROJECTS} & set(look_around(customer)["packages"])
    reports = customer.install(f"{WORKER_EXT.name}[host]")
    customer.run("func", "init", "--python")
    customer.run("func", "new", "-t", "HttpTrigger", "-n", "HttpTrigger", "-a", "anonymous")

    with (customer.app / "requirements.txt").open("a", encoding="utf-8") as file:
        # By the name of the import, as the tutorial has it; for pip it is the same.
        file.writelines(f"{extension.package}\n" for extension in EXTENSIONS)
    reports |= customer.install("-r", "requirements.txt")

    source = customer.app / "function_app.py"
    source.write_text(
        "from python_worker_extension_timer import TimerExtension\n"
        "TimerExtension.configure(append_to_http_response=True)\n" + source.read_text(encoding="utf-8"),
        encoding="utf-8",
    )
    settings = customer.app / "local.settings.json"
    content = json.loads(settings.read_text(encoding="utf-8"))
    content["Values"]["PYTHON_ENABLE_WORKER_EXTENSIONS"] = "1"
    settings.write_text(json.dumps(content), encoding="utf-8")
    return reports


def look_around(customer):
    return json.loads(customer.run("python", "-c", WHAT_IS_THERE))


class TestInstall:
    def test_only_what_is_ours_was_installed_and_all_of_it_from_the_index(self, reports, indexes, publish):
        assert reports.keys() == {project.name for project in PROJECTS}
        for project in PROJECTS:
            wheel = publish(project).classic.wheel
            download = reports[project.name]["download_info"]
            assert download["url"].startswith(f"{indexes.url}/pypi/")
            assert download["archive_info"]["hashes"]["sha256"] == hashlib.sha256(wheel.read_bytes()).hexdigest()
            assert re.search(rf'"GET /pypi/packages/{re.escape(wheel.name)} HTTP/1.1" 200', indexes.log)

    def test_an_app_imports_extensions_from_where_pip_put_them(self, reports, customer):
        found = look_around(customer)["extensions"]
        assert found.keys() == {extension.name for extension in EXTENSIONS}
        for extension in EXTENSIONS:
            installed = Path(customer.paths["purelib"], extension.package)
            assert installed.resolve() in Path(found[extension.name]).resolve().parents

    @pytest.mark.parametrize("script", ["func", "worker-ext"])
    def test_the_commands_are_there(self, reports, customer, publish, script):
        assert customer.run(script, "--version").strip() == f"worker-ext {version(publish(WORKER_EXT))}"
        assert "host start" in customer.run(script, "help")

    def test_the_time_appears_at_the_end_of_the_response(self, reports, customer, monkeypatch):
        monkeypatch.chdir(customer.app)
        # Without the path that would let the source folder stand in for the package that was installed.
        with running_host(customer.app, "--verbose", environ={"PYTHONPATH": ""}, python=str(customer.python)) as host:
            response = host.get("/api/HttpTrigger?name=Ada")

        assert response.status == 200
        assert re.fullmatch(
            r"Hello, Ada\. This HTTP triggered function executed successfully\. \(TimeElapsed: [\d.e-]+ sec\)",
            response.text,
        )
        assert re.search(r"Time taken to execute HttpTrigger is [\d.e-]+ sec", host.console)

    def test_the_source_archive_installs_the_same(self, project, release, indexes, tmp_path):
        target = tmp_path / "site"
        run(
            "python",
            *("-m", "pip", "install", "--quiet", "--target", str(target), "--index-url", indexes.simple("testpypi")),
            *("--no-binary", project.name, "--no-deps", "--no-build-isolation"),
            f"{project.name}=={version(release)}",
            cwd=tmp_path,
            environ=offline(tmp_path),
            scripts=Path(sys.executable).parent,
        )
        installed = {
            file.relative_to(target).as_posix(): file.read_bytes()
            for file in (target / project.package).rglob("*")
            if file.is_file() and file.suffix != ".pyc"
        }
        assert installed == release.modern.package_files
        assert re.search(rf'"GET /testpypi/packages/{re.escape(release.modern.sdist.name)} ', indexes.log)


def version(release):
    return release.classic.metadata["Version"]
