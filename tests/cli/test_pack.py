"""``func pack``: a zip file that can be deployed, and packages unpacked beside code."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from support.hosting import write_app
from support.wheels import make_wheel, only_these
from support.worker_driving import driven_worker

from worker_ext.cli.main import main
from worker_ext.cli.unpack import unpack_wheels
from worker_ext.errors import ConfigurationError

SITE = ".python_packages/lib/site-packages"
APP = {
    "function_app.py": "import azure.functions as func\napp = func.FunctionApp()\n",
    "requirements.txt": "greetings\n",
}
posix_only = pytest.mark.skipif(os.name == "nt", reason="Windows has no links or permissions of that kind")


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that pip knows: the package greetings, which needs words, for any machine; and one for another machine."""
    wheels = tmp_path / "wheels"
    make_wheel(wheels, "words", {"words.py": "HELLO = 'Hello'\n"})
    make_wheel(
        wheels,
        "greetings",
        {
            "greetings/__init__.py": "from words import HELLO\n",
            "greetings-1.0.data/purelib/greetings_extra.py": "",
            "greetings-1.0.data/scripts/greet": "#!python\n",
        },
        requires=["words"],
    )
    for tag in ("cp312-cp312-manylinux_2_28_aarch64", "cp312-cp312-win_amd64"):
        make_wheel(wheels, "compiled", {"compiled/core.so": tag}, tag=tag)
    for name, value in only_these(wheels).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    return wheels


@pytest.fixture
def app(folder: Path) -> Path:
    return write_app(folder, APP)


def packed(folder: Path, name: str = "app.zip") -> dict[str, str]:
    """The files of an archive, with their texts."""
    with zipfile.ZipFile(folder / name) as archive:
        assert archive.testzip() is None
        return {entry: archive.read(entry).decode(errors="replace") for entry in archive.namelist()}


def names(folder: Path, name: str = "app.zip") -> set[str]:
    """The files of an archive but those of packages."""
    return {entry for entry in packed(folder, name) if not entry.startswith(".python_packages/")}


class TestTheArchive:
    def test_has_the_app_and_its_packages_and_runs_where_it_is_unpacked(self, app, tmp_path, capsys):
        write_app(
            app,
            {
                "function_app.py": "import azure.functions as func\nimport greetings\napp = func.FunctionApp()\n"
                "@app.route(route='hello')\ndef hello(req): return greetings.HELLO\n"
            },
        )
        assert main(["pack"]) == 0
        found = packed(app)
        assert {"function_app.py", "host.json", "requirements.txt"} <= found.keys()
        assert {f"{SITE}/greetings/__init__.py", f"{SITE}/greetings_extra.py", f"{SITE}/words.py"} <= found.keys()
        assert f"{SITE}/words-1.0.dist-info/METADATA" in found
        assert not [name for name in found if name.endswith(".pyc") or "/bin/" in name]
        printed = capsys.readouterr()
        assert f"app.zip: {len(found)} files, " in printed.out
        assert "Installing packages for Python 3." in printed.err

        deployed = tmp_path / "deployed"
        with zipfile.ZipFile(app / "app.zip") as archive:
            archive.extractall(deployed)
        with driven_worker(deployed, environ={"PYTHONPATH": str(deployed / SITE)}) as worker:
            assert list(worker.functions) == ["hello"]

    def test_is_the_same_bit_for_bit_whenever_and_wherever_it_is_made(self, app, tmp_path):
        main(["pack", "-o", str(tmp_path / "first.zip")])
        elsewhere = tmp_path / "elsewhere" / "app"
        elsewhere.parent.mkdir()
        app.rename(elsewhere)
        for path in elsewhere.rglob("*"):
            os.utime(path, (1, 1))
        main(["pack", str(elsewhere), "-o", str(tmp_path / "second.zip")])
        first, second = (hashlib.sha256((tmp_path / name).read_bytes()) for name in ("first.zip", "second.zip"))
        assert first.hexdigest() == second.hexdigest()

    @posix_only
    def test_keeps_programs_executable(self, app):
        (app / "tool.sh").write_text("#!/bin/sh\n")
        (app / "tool.sh").chmod(0o700)
        main(["pack", "--no-build"])
        with zipfile.ZipFile(app / "app.zip") as archive:
            modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
        assert modes["tool.sh"] == 0o755
        assert modes["function_app.py"] == 0o644

    @pytest.mark.parametrize(
        ("output", "made"),
        [(None, "app.zip"), ("built.zip", "built.zip"), ("built", "built.zip"), ("dist", "dist/app.zip")],
    )
    def test_where_it_is_written(self, app, output, made):
        (app / "dist").mkdir()
        options = [] if output is None else ["-o", output]
        assert main(["pack", "--no-build", *options]) == 0
        assert "function_app.py" in names(app, made)

    def test_of_a_folder_elsewhere_is_written_here(self, app, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert main(["pack", "app", "--no-build"]) == 0
        assert "function_app.py" in names(tmp_path)

    def test_does_not_hold_its_predecessors(self, app):
        main(["pack", "--no-build"])
        main(["pack", "--no-build", "-o", "other.zip"])
        assert not {"app.zip", "other.zip"} & names(app, "other.zip")


class TestWhatIsLeftOut:
    def pack(self, app: Path, files: Mapping[str, str], ignored: str = "") -> set[str]:
        write_app(app, {**files, ".funcignore": ignored})
        assert main(["pack", "--no-build"]) == 0
        return names(app) - {"host.json", *APP}

    def test_what_is_nobody_s_business_even_without_being_listed(self, app):
        files = [".git/config", ".vscode/launch.json", ".gitignore", "local.settings.json", "a/__pycache__/b.pyc"]
        assert self.pack(app, dict.fromkeys([*files, "a/b.py"], "{}")) == {"a/b.py"}

    def test_a_virtual_environment_whatever_it_is_called(self, app):
        assert self.pack(app, {"my env/pyvenv.cfg": "", "my env/lib/a.py": "", "b.py": ""}) == {"b.py"}

    @pytest.mark.parametrize(
        ("ignored", "left"),
        [
            ("", {"a.txt", "keep.txt", "docs/a.md", "docs/b.txt", "src/docs/c.md", "#x"}),
            ("*.txt", {"docs/a.md", "src/docs/c.md", "#x"}),
            ("*.txt\n!keep.txt", {"keep.txt", "docs/a.md", "src/docs/c.md", "#x"}),
            ("docs/", {"a.txt", "keep.txt", "#x"}),
            ("/docs", {"a.txt", "keep.txt", "src/docs/c.md", "#x"}),
            ("docs/*\n!docs/a.md", {"a.txt", "keep.txt", "docs/a.md", "src/docs/c.md", "#x"}),
            ("docs/\n!docs/a.md", {"a.txt", "keep.txt", "#x"}),  # as Git: its folder is out
            ("**/*.md", {"a.txt", "keep.txt", "docs/b.txt", "#x"}),
            ("# a comment\n\\#x\r\n", {"a.txt", "keep.txt", "docs/a.md", "docs/b.txt", "src/docs/c.md"}),
        ],
    )
    def test_funcignore_means_what_gitignore_would(self, app, ignored, left):
        files = dict.fromkeys(["a.txt", "keep.txt", "docs/a.md", "docs/b.txt", "src/docs/c.md", "#x"], "")
        assert self.pack(app, files, f"requirements*\n{ignored}") == left

    def test_git_agrees(self, app, tmp_path):
        files = dict.fromkeys(["a.txt", "b/a.txt", "b/c/d.log", "e/f.log", "e/keep.log", "g h/i"], "")
        patterns = "*.log\n!e/keep.log\nb/*.txt\ng\\ h/\n"
        ours = self.pack(app, files, patterns)
        write_app(tmp_path / "git", {**files, ".gitignore": patterns})
        subprocess.run(["git", "init", "-q"], cwd=tmp_path / "git", check=True)
        listed = subprocess.check_output(
            ["git", "ls-files", "--others", "--exclude-standard"], cwd=tmp_path / "git", text=True
        )
        assert ours == set(listed.splitlines()) - {".gitignore", "host.json"}

    def test_a_line_that_is_no_pattern_is_located(self, app, capsys):
        write_app(app, {".funcignore": "*.txt\n!\n"})
        assert main(["pack", "--no-build"]) == 1
        assert ".funcignore:2: is no pattern" in capsys.readouterr().err

    @posix_only
    def test_links_that_lead_out_of_the_app_or_round_in_it(self, app, tmp_path):
        (tmp_path / "secret").write_text("s3cret")
        (app / "out").symlink_to(tmp_path / "secret")
        (app / "round").symlink_to(app)
        (app / "nowhere").symlink_to(app / "missing")
        (app / "in").symlink_to(app / "function_app.py")
        assert self.pack(app, {}) == {"in"}


class TestPackages:
    def test_no_build_takes_those_that_are_there(self, app):
        write_app(app, {f"{SITE}/mine.py": "mine"})
        main(["pack", "--no-build"])
        assert [name for name in packed(app) if name.startswith(".python")] == [f"{SITE}/mine.py"]

    def test_for_another_machine(self, app, capsys):
        (app / "requirements.txt").write_text("compiled\n")
        for platform, tag in [("linux_aarch64", "manylinux_2_28_aarch64"), ("win_amd64", "win_amd64")]:
            assert main(["pack", "--platform", platform, "--python-version", "3.12"]) == 0
            assert packed(app)[f"{SITE}/compiled/core.so"] == f"cp312-cp312-{tag}"
            assert f"Python 3.12 on {platform}" in capsys.readouterr().err

    def test_one_that_cannot_be_had(self, app, capsys):
        (app / "requirements.txt").write_text("nothing-like-it\n")
        (app / "app.zip").write_text("the last one")
        assert main(["pack"]) == 1
        error = capsys.readouterr().err
        assert "pip could not get all packages" in error
        assert "nothing-like-it" in error
        assert "Traceback" not in error
        assert (app / "app.zip").read_text() == "the last one"

    def test_one_that_there_is_not_for_the_other_machine(self, app, capsys):
        (app / "requirements.txt").write_text("compiled\n")
        assert main(["pack", "--platform", "linux_aarch64", "--python-version", "3.13"]) == 1
        error = capsys.readouterr().err
        assert "only wheels can be used" in error
        assert "linux_aarch64, Python 3.13" in error

    def test_an_app_whose_python_has_no_pip(self, app):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", ".venv"], cwd=app, check=True)
        write_app(app, {f"{SITE}/mine.py": "of an earlier day"})
        assert main(["pack"]) == 0
        assert f"{SITE}/words.py" in packed(app)
        assert f"{SITE}/mine.py" not in packed(app)
        assert (app / SITE / "mine.py").exists()

    def test_an_app_whose_python_is_gone(self, app, capsys):
        write_app(
            app, {"local.settings.json": '{"Values": {"languageWorkers__python__defaultExecutablePath": "/gone"}}'}
        )
        assert main(["pack"]) == 1
        assert "/gone: the app's Python cannot be run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("files", "options", "complaint"),
    [
        ({}, [], "there is no host.json here"),
        ({"host.json": "{}", "requirements.txt": ""}, [], "there are no functions"),
        ({"host.json": "{}", "function_app.py": ""}, [], "there is no requirements.txt"),
        ({"host.json": "{}", "function_app.py": ""}, ["a", "b"], "'b' is one word too many"),
        ({}, ["missing"], "missing: is no folder"),
        (
            {"host.json": "{}", "function_app.py": ""},
            ["--no-build", "-o", "no/such/a.zip"],
            "no/such: there is no such",
        ),
        (
            {"host.json": "{}", "function_app.py": "", "requirements.txt": ""},
            ["--python-version", "3"],
            "'3' is no version",
        ),
    ],
)
def test_what_cannot_be_packed(folder, capsys, files, options, complaint):
    for name, text in files.items():
        (folder / name).write_text(text)
    assert main(["pack", *options]) == 1
    assert complaint in capsys.readouterr().err
    assert not list(folder.glob("*.zip"))


def test_a_v1_app_and_an_app_with_another_script_can_be_packed(folder):
    write_app(folder, {"Hello/function.json": "{}"})
    assert main(["pack", "--no-build"]) == 0
    (folder / "Hello" / "function.json").unlink()
    write_app(folder, {"main.py": "", "local.settings.json": '{"Values": {"PYTHON_SCRIPT_FILE_NAME": "main.py"}}'})
    assert main(["pack", "--no-build"]) == 0


@pytest.mark.parametrize("option", ["--build-native-deps", "--squashfs"])
def test_what_needs_docker_is_left_to_the_stock_tool(func, core_tools, option):
    assert func("pack", option, path=[core_tools.folder]).returncode == core_tools.EXIT_STATUS
    assert core_tools.called_with == ["pack", option]


class TestTarget:
    """``--target``: packages unpacked beside the code that imports them, as for Baetyl's functions."""

    @pytest.fixture
    def unpack(self, folder: Path) -> Callable[..., int]:
        return lambda *options: main(["pack", "--target", "code", *options])

    def test_the_code_can_import_them(self, unpack, folder, capsys):
        write_app(
            folder / "code",
            {"get.py": "import greetings\n\ndef handler(event, context):\n    return greetings.HELLO\n"},
        )
        assert unpack("greetings") == 0
        printed = capsys.readouterr().out
        assert "Unpacked greetings 1.0\nUnpacked words 1.0\n" in printed
        said = subprocess.check_output(
            [
                sys.executable,
                "-I",
                "-c",
                "import sys; sys.path.insert(0, 'code'); import get; print(get.handler({}, {}))",
            ],
            cwd=folder,
            text=True,
        )
        assert said == "Hello\n"
        assert sorted(path.name for path in (folder / "code").iterdir()) == [
            "__init__.py",
            "__pycache__",
            "get.py",
            "greetings",
            "greetings-1.0.dist-info",
            "greetings_extra.py",
            "host.json",
            "words-1.0.dist-info",
            "words.py",
        ]

    def test_for_another_machine(self, unpack, folder):
        assert unpack("compiled", "--platform", "win_amd64", "--python-version", "3.12") == 0
        assert (folder / "code" / "compiled" / "core.so").read_text() == "cp312-cp312-win_amd64"

    def test_nothing_is_overwritten(self, unpack, folder, capsys):
        write_app(folder / "code", {"words.py": "MINE = 1"})
        assert unpack("greetings") == 1
        assert "words.py: is there already" in capsys.readouterr().err
        assert (folder / "code" / "words.py").read_text() == "MINE = 1"
        assert not (folder / "code" / "greetings").exists()

    def test_how_much_would_be_overwritten_is_told(self, unpack, capsys):
        assert unpack("greetings") == 0
        assert unpack("greetings") == 1
        assert re.search(r"greetings\S*: is there already, and so are \d+ more", capsys.readouterr().err)

    def test_unless_it_is_wanted(self, unpack, folder, index):
        unpack("words")
        make_wheel(index, "words", {"words.py": "HELLO = 'Hi'\n"}, version="2.0")
        assert unpack("words") == 1
        assert unpack("words", "--force") == 0
        assert "Hi" in (folder / "code" / "words.py").read_text()
        assert [path.name for path in (folder / "code").glob("words-*")] == ["words-2.0.dist-info"]

    @pytest.mark.parametrize("evil", ["../outside.py", "/outside.py", "a/../../outside.py", "C:\\outside.py"])
    def test_a_wheel_that_reaches_out_of_the_folder(self, folder, index, evil):
        wheel = make_wheel(index, "evil", {evil: ""})
        with pytest.raises(ConfigurationError, match="outside"):
            unpack_wheels([wheel], folder / "code")
        assert list(folder.parent.rglob("outside*")) == []

    @pytest.mark.parametrize(
        ("options", "complaint"),
        [
            ([], "which packages?"),
            (["words", "-o", "a.zip"], "--output and --no-build are for a zip file"),
            (["words", "--platform", "linux_aarch64", "--python-version", "x"], "is no version"),
        ],
    )
    def test_what_makes_no_sense(self, unpack, folder, capsys, options, complaint):
        assert unpack(*options) == 1
        assert complaint in capsys.readouterr().err
