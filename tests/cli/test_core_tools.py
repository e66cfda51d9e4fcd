"""Commands that are not ours go to the next ``func`` on PATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from worker_ext.cli.core_tools import find_core_tools

posix_only = pytest.mark.skipif(os.name == "nt", reason="the file system of Windows has no such thing")


class TestHandOver:
    def test_the_same_arguments_and_the_same_exit_status(self, func, core_tools):
        command_line = ["azure", "functionapp", "publish", "my app", "--build", "remote", "--", "-x"]
        finished = func(*command_line, path=[core_tools.folder])
        assert core_tools.called_with == command_line
        assert finished.returncode == core_tools.EXIT_STATUS
        assert finished.stderr == ""

    @pytest.mark.parametrize(
        "command_line",
        [
            ["help", "azure"],
            ["init", "--worker-runtime", "node"],
            ["init", "--python", "--docker"],
        ],
    )
    def test_what_our_verbs_leave_to_core_tools(self, func, core_tools, command_line):
        assert func(*command_line, path=[core_tools.folder]).returncode == core_tools.EXIT_STATUS
        assert core_tools.called_with == command_line

    def test_a_template_that_only_they_have(self, func, core_tools, folder):
        (folder / "host.json").write_text("{}")
        command_line = ["new", "-t", "SignalR trigger", "-n", "SignalR"]
        func(*command_line, path=[core_tools.folder])
        assert core_tools.called_with == command_line

    def test_our_own_verbs_stay_ours(self, func, core_tools):
        assert func("init", "--python", path=[core_tools.folder]).returncode == 0
        assert core_tools.called_with is None

    @posix_only
    def test_a_script_that_leads_back_to_us_ends_with_an_error(self, func, tmp_path, executable):
        (tmp_path / "shims").mkdir()
        executable(tmp_path / "shims", "$WHERE_IT_LEADS")
        finished = func("bundles", path=[tmp_path / "shims"], WHERE_IT_LEADS=f"{sys.executable} -m worker_ext")
        assert finished.returncode == 1
        assert "`func bundles` is not part of worker-ext" in finished.stderr

    @posix_only
    def test_a_script_that_leads_back_to_us_does_not_hide_core_tools(self, func, tmp_path, executable, core_tools):
        (tmp_path / "shims").mkdir()
        executable(tmp_path / "shims", "$WHERE_IT_LEADS")
        path = [tmp_path / "shims", core_tools.folder]
        func("bundles", path=path, WHERE_IT_LEADS=f"{sys.executable} -m worker_ext")
        assert core_tools.called_with == ["bundles"]

    @posix_only
    def test_a_file_that_cannot_be_started(self, func, tmp_path):
        broken = tmp_path / "func"
        broken.write_bytes(b"\x7fELF but not really")
        broken.chmod(0o755)
        finished = func("bundles", path=[tmp_path])
        assert finished.returncode == 1
        assert finished.stderr.startswith(f"{broken}: it cannot be started")
        assert "Traceback" not in finished.stderr


class TestWithoutCoreTools:
    def test_the_error_says_what_is_missing_what_there_is_and_how_to_get_it(self, func):
        finished = func("azure", "functionapp", "publish", "my-app")
        assert finished.returncode == 1
        assert "`func azure functionapp` is not part of worker-ext" in finished.stderr
        assert "worker-ext itself has: host start, start, " in finished.stderr
        assert "npm install --global azure-functions-core-tools@4" in finished.stderr
        assert "Traceback" not in finished.stderr

    def test_values_on_the_command_line_are_not_repeated(self, func):
        assert "s3cret" not in func("settings", "add", "KEY", "s3cret").stderr
        assert "s3cret" not in func("azure", "--access-token", "s3cret").stderr

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("inti", "func init"),
            ("inti my-app", "func init"),
            ("hots start", "func host start"),
            ("host strat", "func host start"),
            ("strat", "func start"),
            ("news", "func new"),
            ("nwe", "func new"),
            ("nwe -t HttpTrigger", "func new"),
            ("hlep", "func help"),
            ("setings lsit", "func settings list"),
            ("template list", "func templates list"),
        ],
    )
    def test_a_typo(self, func, typed, meant):
        assert f"Did you mean `{meant}`?" in func(*typed.split()).stderr

    @pytest.mark.parametrize(
        "verb",
        ["azure", "durable", "kubernetes", "logs", "bundles", "settings decrypt", "settings encrypt", "azure login"],
    )
    def test_the_verbs_of_core_tools_are_no_typos_of_ours(self, func, verb):
        finished = func(*verb.split())
        assert f"`func {verb}` is not part of worker-ext" in finished.stderr
        assert "Did you mean" not in finished.stderr

    def test_a_typo_in_a_template_s_name(self, func, folder):
        (folder / "host.json").write_text("{}")
        finished = func("new", "-t", "HttpTriger", "-n", "Hello")
        assert finished.returncode == 1
        assert "Did you mean `func new -t HttpTrigger`?" in finished.stderr
        assert "HttpTrigger, TimerTrigger" in finished.stderr


class TestFind:
    """Which ``func`` is not ours."""

    @staticmethod
    def find(*folders: Path, extensions=("",), launched_as="somewhere/func", tried=()):
        return find_core_tools(
            os.pathsep.join(map(str, folders)), extensions=extensions, launched_as=launched_as, tried=tried
        )

    @staticmethod
    def make(folder: Path, content: bytes = b"#!/bin/sh\n", name: str = "func") -> Path:
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_bytes(content)
        path.chmod(0o755)
        return path

    def test_the_first_on_path(self, tmp_path):
        first, second = self.make(tmp_path / "1"), self.make(tmp_path / "2")
        assert self.find(first.parent, second.parent) == first
        assert self.find(second.parent, first.parent) == second

    def test_none(self, tmp_path):
        assert self.find(tmp_path, tmp_path / "missing") is None
        assert self.find() is None

    def test_not_the_one_that_is_running(self, tmp_path):
        ours, theirs = self.make(tmp_path / "venv"), self.make(tmp_path / "tools")
        assert self.find(ours.parent, theirs.parent, launched_as=str(ours)) == theirs

    @posix_only
    def test_not_the_one_that_is_running_by_another_path(self, tmp_path):
        ours, theirs = self.make(tmp_path / "venv"), self.make(tmp_path / "tools")
        (tmp_path / "link").symlink_to(ours.parent)
        assert self.find(tmp_path / "link", theirs.parent, launched_as=str(ours)) == theirs

    @pytest.mark.parametrize("launched_as", ["func", "func-script.py", "func.exe"])
    def test_not_the_launcher_of_the_one_that_is_running(self, tmp_path, launched_as):
        launcher = self.make(tmp_path / "venv", b"MZ", "func.exe")
        assert self.find(launcher.parent, extensions=(".exe",), launched_as=str(launcher.parent / launched_as)) is None

    @pytest.mark.parametrize(
        "content",
        [
            b"#!/usr/bin/python3\nimport sys\nfrom worker_ext.cli.main import main\nsys.exit(main())\n",
            b"MZ" + bytes(100_000) + b"PK from worker_ext.cli.main import main PK",
        ],
        ids=["script", "Windows launcher with the script at its end"],
    )
    def test_not_ours_from_another_environment(self, tmp_path, content):
        ours, theirs = self.make(tmp_path / "other venv", content), self.make(tmp_path / "tools")
        assert self.find(ours.parent, theirs.parent) == theirs

    def test_beside_our_other_name(self, tmp_path):
        """``worker-ext`` and npm's ``func`` can lie in one folder, such as /usr/local/bin."""
        ours, theirs = self.make(tmp_path / "bin", name="worker-ext"), self.make(tmp_path / "bin")
        assert self.find(theirs.parent, launched_as=str(ours)) == theirs

    def test_not_one_that_was_tried_before(self, tmp_path):
        first, second = self.make(tmp_path / "1"), self.make(tmp_path / "2")
        assert self.find(first.parent, second.parent, tried=[str(first)]) == second

    def test_not_what_happens_to_lie_in_the_current_folder(self, folder):
        self.make(folder)
        assert find_core_tools(os.pathsep * 2, extensions=("",), launched_as="") is None

    def test_extensions_in_their_order(self, tmp_path):
        self.make(tmp_path, name="func.cmd")
        self.make(tmp_path, name="func.exe")
        assert self.find(tmp_path, extensions=(".exe", ".cmd")).name == "func.exe"
        assert self.find(tmp_path, extensions=(".cmd", ".exe")).name == "func.cmd"

    @posix_only
    def test_not_a_folder_and_not_a_file_that_is_not_executable(self, tmp_path):
        (tmp_path / "1" / "func").mkdir(parents=True)
        plain = self.make(tmp_path / "2")
        plain.chmod(0o644)
        assert self.find(tmp_path / "1", tmp_path / "2") is None
