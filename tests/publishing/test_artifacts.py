"""What is in the wheels and source archives, and what they say about themselves."""

from __future__ import annotations

import ast
import re
from configparser import ConfigParser

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from publishing.projects import WORKER_EXT


def requirements(build, extra=""):
    """Name → specifiers of what an installation takes, without those that only an extra asks for."""
    parsed = map(Requirement, build.metadata.get_all("Requires-Dist", []))
    return {one.name: one for one in parsed if one.marker is None or one.marker.evaluate({"extra": extra})}


class TestWheel:
    def test_holds_the_package_and_nothing_else(self, project, release):
        folder = release.classic.source
        source = {
            file.relative_to(folder).as_posix(): file.read_bytes()
            for file in (folder / project.package).rglob("*")
            if file.is_file()
        }
        assert release.classic.package_files == source

    def test_fits_every_python_and_every_system(self, project, release):
        assert release.classic.wheel.name == f"{project.package}-{release.classic.metadata['Version']}-py3-none-any.whl"

    def test_tells_type_checkers_that_it_is_annotated(self, project, release):
        assert f"{project.package}/py.typed" in release.classic.wheel_files

    def test_brings_its_licence(self, project, release):
        licence = (release.classic.source / "LICENSE").read_bytes()
        assert any(path.endswith("/LICENSE") and text == licence for path, text in release.classic.wheel_files.items())
        metadata = release.classic.metadata  # newer versions of it have another name for the field
        assert metadata.get("License-Expression", metadata["License"]) == "MIT"

    def test_shows_the_readme_on_its_page(self, project, release):
        metadata = release.classic.metadata
        assert metadata["Name"] == project.name
        assert metadata["Summary"]
        assert metadata["Description-Content-Type"] == "text/markdown"
        assert metadata.get_payload(decode=True).strip() == (release.classic.source / "readme.md").read_bytes().strip()

    def test_is_the_same_whether_built_from_the_folder_or_from_the_source_archive(self, release):
        # `python -m build` unpacks the source archive that it has made, and builds the wheel there.
        assert release.modern.wheel.name == release.classic.wheel.name
        assert release.modern.package_files == release.classic.package_files


def test_the_source_archive_has_what_packagers_look_for(project, release):
    for build in (release.classic, release.modern):
        wanted = {"setup.py", "LICENSE", "readme.md", "CHANGELOG.md", "PKG-INFO", *build.package_files}
        assert wanted <= build.sdist_files


def test_the_changelog_begins_with_this_version_or_with_what_is_not_released(project, release):
    changelog = (release.classic.source / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## \[?([^\s\]]+)", changelog, re.MULTILINE)
    assert newest is not None
    assert newest[1] in (release.classic.metadata["Version"], "Unreleased")


class TestExtension:
    def test_takes_any_azure_functions_that_knows_extensions(self, extension, publish):
        # An upper bound, as the tutorial of Azure has it, would install an old release on Python 3.13 and later.
        needed = requirements(publish(extension).classic)["azure-functions"]
        assert needed.marker is None
        assert needed.specifier == SpecifierSet(">=1.7.0")

    def test_can_be_found_by_a_host(self, extension, publish):
        points = entry_points(publish(extension).classic)["worker_ext.extensions"]
        assert [value.partition(":")[0] for value in points.values()] == [extension.package]

    def test_asks_for_worker_ext_only_if_it_cannot_do_without(self, extension, publish):
        # One that can works on the workers of Azure, where nobody has installed a local host.
        needed = requirements(publish(extension).classic).get(WORKER_EXT.name)
        assert (needed is not None) == any(map(needs_worker_ext, (extension.folder / extension.package).rglob("*.py")))
        assert needed is None or needed.specifier == SpecifierSet(">=0.1.0")


def needs_worker_ext(file):
    """Whether a module imports worker_ext without looking whether it is there."""
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return any(isinstance(node, ast.ImportFrom) and node.module == "worker_ext" for node in body)


class TestWorkerExt:
    def test_needs_azure_functions_alone(self, publish):
        (needed,) = requirements(publish(WORKER_EXT).classic).values()
        assert str(needed) == "azure-functions>=1.7.0"

    def test_the_extra_host_adds_what_the_local_host_needs(self, publish):
        added = requirements(publish(WORKER_EXT).classic, extra="host").keys() - {"azure-functions"}
        assert {"httptools", "watchfiles", "platformdirs"} <= added

    def test_has_the_files_that_no_import_would_miss(self, publish):
        files = publish(WORKER_EXT).classic.package_files
        templates = {path for path in files if path.startswith("worker_ext/cli/templates/") and "." in path}
        assert "worker_ext/boot.py" in files
        assert {"project/host.json.template", "http_trigger/function.json.template"} <= {
            path.removeprefix("worker_ext/cli/templates/") for path in templates
        }

    def test_installs_func_also_under_a_name_that_core_tools_do_not_have(self, publish):
        scripts = entry_points(publish(WORKER_EXT).classic)["console_scripts"]
        assert scripts.keys() == {"func", "worker-ext"}
        assert scripts["func"] == scripts["worker-ext"]

    def test_says_which_pythons_it_is_for(self, publish):
        metadata = publish(WORKER_EXT).classic.metadata
        versions = {c.rpartition(" ")[2] for c in metadata.get_all("Classifier") if re.search(r":: 3\.\d+$", c)}
        assert metadata["Requires-Python"] == ">=3.11"
        assert versions == {"3.11", "3.12", "3.13", "3.14"}


def entry_points(build):
    """Group → name → object reference."""
    parser = ConfigParser(delimiters=["="])
    parser.read_string(build.metadata_file("entry_points.txt").decode())
    return {group: dict(parser[group]) for group in parser.sections()}
