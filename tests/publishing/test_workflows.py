"""What runs on GitHub: the workflows say what they should, and a tag leads to the package that it names."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase

import pytest
import yaml
from publishing.projects import EXTENSIONS, PROJECTS, ROOT, WORKER_EXT

WORKFLOWS = {file.stem: file for file in (ROOT / ".github" / "workflows").glob("*.yml")}


def load(name):
    return yaml.safe_load(WORKFLOWS[name].read_text(encoding="utf-8"))


def triggers(workflow):
    # YAML 1.1, which PyYAML reads, takes the key `on` for a boolean.
    return workflow[True]


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


def tag(project, version):
    return f"v{version}" if project == WORKER_EXT else f"{project.folder.name}-v{version}"


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
class TestEveryWorkflow:
    def test_may_no_more_than_read_the_code(self, name):
        workflow = load(name)
        granted = {job: details.get("permissions") for job, details in workflow["jobs"].items()}
        assert workflow["permissions"] == {"contents": "read"}
        assert {job: rights for job, rights in granted.items() if rights is not None} == (
            {"publish": {"id-token": "write"}} if name == "publish" else {}
        )

    def test_knows_no_secrets(self, name):
        assert "secrets" not in WORKFLOWS[name].read_text(encoding="utf-8")

    def test_leaves_no_credentials_beside_the_code(self, name):
        checkouts = [step for step in steps(load(name)) if step.get("uses", "").startswith("actions/checkout@")]
        assert checkouts
        assert all(step["with"]["persist-credentials"] is False for step in checkouts)

    def test_runs_once_at_a_time_for_a_branch_or_tag(self, name):
        group = load(name)["concurrency"]["group"]
        assert group.startswith(f"{name}-")
        assert group.endswith("${{ github.ref }}")

    def test_takes_actions_by_their_major_version(self, name):
        uses = [step["uses"] for step in steps(load(name)) if "uses" in step]
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", action) for action in uses), uses

    def test_gives_up_on_what_hangs(self, name):
        assert all("timeout-minutes" in job for job in load(name)["jobs"].values() if "steps" in job)

    def test_puts_no_text_from_outside_into_a_script(self, name):
        # GitHub pastes an expression into the script as it is: a tag or branch could be named like a command.
        assert not [step for step in steps(load(name)) if "${{" in step.get("run", "")]

    def test_refers_to_files_that_exist(self, name):
        text = WORKFLOWS[name].read_text(encoding="utf-8")
        paths = re.findall(r"(?<![\w.])(?:\./)?(\.github/[\w./-]+\.\w+)", text)
        assert paths or name != "publish"
        assert all((ROOT / path).is_file() for path in paths), paths


class TestTests:
    def test_all_pythons_that_the_packages_name_on_all_systems(self):
        matrix = load("test")["jobs"]["pytest"]["strategy"]["matrix"]
        named = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', (ROOT / "setup.py").read_text("utf-8"))
        assert matrix["python"] == named
        assert {system.partition("-")[0] for system in matrix["system"]} == {"ubuntu", "macos", "windows"}
        assert "exclude" not in matrix

    def test_need_nothing_that_windows_lacks(self):
        (install, emulator, test) = (step for step in steps(load("test")) if "run" in step)
        assert install["shell"] == "bash"
        assert emulator["run"].startswith("npm ci ")
        assert test["run"] == "python -m pytest"

    @pytest.mark.skipif(sys.platform == "win32", reason="the bash that GitHub has on Windows is hard to find elsewhere")
    def test_install_every_package(self, tmp_path):
        (install,) = (step["run"] for step in steps(load("test")) if step.get("shell") == "bash")
        fake = tmp_path / "python"
        fake.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
        fake.chmod(0o755)
        bash = ["bash", "-c", install]
        shown = subprocess.check_output(bash, cwd=ROOT, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, text=True)
        folders = [".[host,rpc,baetyl,dev]", *(f"./extensions/{extension.folder.name}/" for extension in EXTENSIONS)]
        assert shown.split() == ["-m", "pip", "install", *(word for folder in folders for word in ("-e", folder))]


def test_lint_runs_what_developers_run():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (recipe,) = re.findall(r"^lint:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    assert [step["run"] for step in steps(load("lint")) if "run" in step] == ["make lint"]
    assert [line.partition("/")[2] for line in recipe.splitlines()] == ["ruff check .", "ruff format --check .", "mypy"]


class TestPublish:
    def test_only_what_was_tested_and_built(self):
        jobs = load("publish")["jobs"]
        assert jobs["test"]["uses"] == "./.github/workflows/test.yml"
        assert "workflow_call" in triggers(load("test"))
        assert jobs["publish"]["needs"] == ["test", "build"]

    def test_in_an_environment_without_code_of_this_repository(self):
        publish = load("publish")["jobs"]["publish"]
        assert publish["environment"]["name"] == "pypi"
        assert [step["uses"].partition("@")[0] for step in publish["steps"]] == [
            "actions/download-artifact",
            "pypa/gh-action-pypi-publish",
        ]

    def test_checks_what_it_builds(self):
        commands = [step["run"] for step in load("publish")["jobs"]["build"]["steps"] if "run" in step]
        assert commands[1].startswith('python .github/release.py "$GITHUB_REF_NAME"')
        assert commands[2:] == ['python -m build --outdir dist "$FOLDER"', "twine check --strict dist/*"]

    def test_every_package_has_tags_that_start_it(self, project):
        patterns = triggers(load("publish"))["push"]["tags"]
        assert any(fnmatchcase(tag(project, "1.2.3"), pattern) for pattern in patterns)

    @pytest.mark.parametrize("name", ["main", "timer", "vacation", "timer-version"])
    def test_other_tags_start_nothing(self, name):
        assert not any(fnmatchcase(name, pattern) for pattern in triggers(load("publish"))["push"]["tags"])


class TestReleaseTag:
    """``.github/release.py``."""

    @pytest.fixture
    def repository(self, tmp_path):
        """The packages of this repository, at version 1.2.3 and with a changelog that says so."""
        root = tmp_path / "repository"
        for project in PROJECTS:
            folder = project.copy(root / project.folder.relative_to(ROOT))
            file = folder / "worker_ext" / "__init__.py" if project == WORKER_EXT else folder / "setup.py"
            text, count = re.subn(r'(version(__ )?= ?)"[^"]+"', r'\1"1.2.3"', file.read_text(encoding="utf-8"))
            assert count == 1
            file.write_text(text, encoding="utf-8")
            (folder / "CHANGELOG.md").write_text("# Changelog\n\n## [1.2.3] - 2030-01-01\n\n## 1.0.0\n")
        shutil.copytree(ROOT / ".github", root / ".github")
        return root

    @staticmethod
    def release(repository, name):
        command = [sys.executable, ".github/release.py", name]
        return subprocess.run(command, cwd=repository, capture_output=True, text=True, timeout=60)

    def test_names_the_package(self, project, repository):
        done = self.release(repository, tag(project, "1.2.3"))
        assert done.returncode == 0, done.stderr
        folder = project.folder.relative_to(ROOT).as_posix()
        assert done.stdout == f"folder={folder}\nname={project.name}\nversion=1.2.3\n"

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("v1.2.4", "the version in setup.py is 1.2.3"),
            ("timer-v1.2.4", "the version in extensions/timer/setup.py is 1.2.3"),
            ("nothing-v1.2.3", "there is no extensions/nothing/setup.py"),
            ("../timer-v1.2.3", "a release tag is"),
            ("timer", "a release tag is"),
        ],
    )
    def test_is_refused_if_it_does_not_fit(self, repository, name, said):
        done = self.release(repository, name)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.splitlines()[-1].startswith(f"{name}: {said}")

    def test_is_refused_if_the_changelog_does_not_know_it(self, repository):
        changelog = repository / "extensions" / "timer" / "CHANGELOG.md"
        changelog.write_text("# Changelog\n\n## [Unreleased]\n\n## 1.2.3\n")
        done = self.release(repository, "timer-v1.2.3")
        assert "the newest entry of extensions/timer/CHANGELOG.md is not about 1.2.3" in done.stderr
        assert (done.returncode, done.stdout) == (1, "")
