"""The documentation runs as it stands there: every block of every page.

A page is a folder: a block with a title, as in ``title="function_app.py"``, or whose first line is a comment with a
file's name, is the file of that name. Python blocks without one are one script, from top to bottom of the page; files
called ``test_….py`` are run by pytest, apps are loaded. The commands of ``sh`` and ``console`` blocks run in order, in
one shell (:mod:`docs.shell`), and print what is shown below them. All else is read by what reads it in use.
What cannot run says so on its page, and is listed here.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest
from docs.pages import PAGES, Block, blocks, name
from docs.shell import Command, Shell, commands, output_pattern
from packaging.requirements import Requirement
from twine.utils import get_config

from worker_ext.host.baetyl.settings import read
from worker_ext.host.baetyl.settings_hub import hub_settings
from worker_ext.host.baetyl.settings_manager import manager_settings
from worker_ext.host.settings_host import load_host_json
from worker_ext.host.settings_local import load_local_settings

NOT_RUN = {
    ("readme.md", "$ make start    # sets up, and runs sample_app/ at http://localhost:7071/api/HttpTrigger"),
    ("docs/baetyl.md", "$ pip install 'worker-ext[baetyl]'"),
    ("docs/baetyl.md", """$ func call sayhi3 '{"action": "A"}'"""),
    ("docs/baetyl.md", "$ func host start           # and in another terminal:"),
    ("docs/baetyl.md", "$ func host start --hub tcp://broker:1883"),
    ("docs/baetyl.md", "$ touch passwords && mosquitto_passwd -b passwords test hahaha"),
    ("docs/baetyl.md", "$ func baetyl function -c etc/baetyl/service.yml"),
    ("docs/baetyl.md", "$ BAETYL_SERVICE_INSTANCE_ADDRESS=127.0.0.1:50051 func baetyl function &"),
    ("docs/functions-host.md", "$ func start"),
    ("docs/publishing.md", "python -m build"),
    ("docs/publishing.md", "twine upload -r testpypi dist/*"),
    ("docs/publishing.md", "twine upload dist/*"),
    ("extensions/opentelemetry/readme.md", "the caller's span"),
    ("extensions/telemetry/readme.md", "the caller's span"),
}
"""All that is not run: page, and the first line of the block."""

_ENVIRON = {"APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true"}  # a library would report its use over the network
_AN_APP = """
import azure.functions as func

app = func.FunctionApp()


@app.route("hello")
def hello(req: func.HttpRequest) -> str:
    return "Hello."
"""


class Folder:
    """The folder in which a page runs.

    :ivar shell: the shell of its reader.
    """

    def __init__(self, folder: Path, shell: Shell) -> None:
        self.shell = shell
        self._folder = folder
        self._script = ""
        self._tests: list[Path] = []
        self._apps: set[Path] = set()

    def run(self, block: Block) -> None:
        """Do with a block what its reader does."""
        for line in block.given:
            self.shell.run(Command(line))
        if block.not_run:
            return
        if block.title:
            self._write(block.title, block.code)
        if block.language in ("python", "py"):
            if not block.title:  # lines are numbered as on the page
                self._script += "\n" * (block.line - 1 - self._script.count("\n")) + block.code
        elif block.language in ("sh", "console"):
            for command in commands(block.language, block.code):
                self._run_command(command)
        else:
            USES[block.language](block, self)

    def add_settings(self, values: dict[str, str]) -> None:
        """Put settings into ``Values`` of the app, which is loaded with them in the end."""
        folder = self.shell.where
        file = folder / "local.settings.json"
        settings = json.loads(file.read_text("utf-8")) if file.exists() else {"Values": {}}
        settings["Values"].update(values)
        self._write(file.name, json.dumps(settings))
        self._apps.add(folder)

    def finish(self) -> str:
        """Run the script of a page and its tests, and load its apps; gives what the script and the tests printed."""
        printed = ""
        if self._script:
            self._write("page.py", self._script)
            printed += self._run_python(str(self.shell.where / "page.py"))
        if self._tests:
            printed += self._run_python("-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, self._tests))
        tested = {test.parent for test in self._tests if not (test.parent / "local.settings.json").exists()}
        for app in sorted(self._apps - self.shell.started - tested):
            for file, content in {"host.json": '{"version": "2.0"}', "function_app.py": _AN_APP}.items():
                if not (app / file).exists():
                    (app / file).write_text(content, "utf-8")
            self.shell.run(Command(f"func extensions list --script-root {shlex.quote(str(app))}"))
        return printed

    def _write(self, name: str, content: str) -> None:
        file = self.shell.where / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content, encoding="utf-8")
        if file.name.startswith("test_"):
            self._tests.append(file)
        elif file.name == "function_app.py":
            self._apps.add(file.parent)

    def _run_command(self, command: Command) -> None:
        self.shell.run(command)
        program, *words = shlex.split(command.line, comments=True) or [""]
        if program == "pytest":
            tested = [self.shell.where / word for word in words]
            self._tests = [test for test in self._tests if not any(map(test.is_relative_to, tested))]

    def _run_python(self, *words: str) -> str:
        packages = [self._folder, self.shell.where, *self._folder.glob("*/src")]  # as `pip install -e` has it
        done = subprocess.run(
            [sys.executable, *words],
            cwd=self.shell.where,
            env={**os.environ, **_ENVIRON, "PYTHONPATH": os.pathsep.join(map(str, packages))},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def run_page(page: Path, folder: Path) -> str:
    """Run what is on a page, in an empty folder; gives what was printed by its Python code."""
    with Shell(folder) as shell:
        place = Folder(folder, shell)
        for block in blocks(page):
            place.run(block)
        return place.finish()


def use_json(block: Block, place: Folder) -> None:
    """``host.json`` goes to its reader; settings go into ``Values``."""
    folder = place.shell.where
    if block.title == "host.json":
        assert not load_host_json(folder, {}).warnings
        return
    code = block.code if block.code.startswith("{") else f"{{{block.code}}}"
    values = json.loads(place.shell.with_free_ports(code))
    place.add_settings(values)
    read = load_local_settings(folder)
    assert not read.warnings
    assert {**read.values, **values} == read.values


def use_text(block: Block, place: Folder) -> None:
    """Lines of ``requirements.txt``: that version is there. Else a listing: these files are there."""
    for line in block.code.splitlines():
        if "==" in line:
            requirement = Requirement(line)
            there = metadata.distribution(requirement.name)
            assert requirement.specifier.contains(there.version), line
            assert requirement.extras <= set(there.metadata.get_all("Provides-Extra", [])), line
        else:
            assert (place.shell.where / line.split()[0]).exists(), line


def use_ini(block: Block, place: Folder) -> None:
    """``.pypirc``: twine finds every index that it names."""
    assert block.title == ".pypirc"
    found = get_config(str(place.shell.where / ".pypirc"))
    assert set(found) > {"pypi"}
    assert all(index["repository"] for index in found.values())


def use_yaml(block: Block, place: Folder) -> None:
    """Settings of a Baetyl app: of its function-manager, which say where the hub is, or of the hub itself."""
    file = place.shell.where / "service.yml"
    file.write_text(block.code, "utf-8")
    if block.code.startswith("hub:"):
        assert manager_settings(read(file, {"HUB_PASSWORD": "secret"}), Path).address in block.code
        return
    hub = hub_settings(read(file, {}), Path)
    file.write_text("{}", "utf-8")
    assert hub != hub_settings(read(file, {}), Path)


USES: dict[str, Callable[[Block, Folder], None]] = {
    "json": use_json, "text": use_text, "ini": use_ini, "yaml": use_yaml,
}  # fmt: skip


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_runs(page, tmp_path):
    run_page(page, tmp_path)


def test_what_is_not_run_is_listed():
    assert {
        (name(page), block.code.splitlines()[0]) for page in PAGES for block in blocks(page) if block.not_run
    } == NOT_RUN


class TestTheRunner:
    @pytest.mark.parametrize(
        "text",
        [
            "```python\nraise SystemExit(1)\n```",
            '```python title="test_a.py"\ndef test(): assert False\n```',
            "```python\n# function_app.py\n1/0\n```",
            "1. x\n\n   ```py\n   1/0\n   ```",
            "```sh\nfalse\n```",
            "<!-- given: false -->\n```sh\ntrue\n```",
            "```console\n$ echo one\ntwo\n```",
            "```console\n$ echo one; echo two\none\n```",
            "```console\nnothing that runs\n```",
            '```json title="host.json"\n{"version": "1.0"}\n```',
            '```json\n"WORKER_EXT_EXTENSIONS": "nonsense"\n```',
            '```json\n"A": 1\n```',
            "```text\npython-worker-extension-timer==0.0.0.1\n```",
            "```text\nno-such-file   is here\n```",
            "```sh\npip install 'worker-ext[nonsense]'\n```",
            '```ini title=".pypirc"\n[distutils]\nindex-servers = nonsense\n```',
            "```yaml\nlisten: 1\n```",
        ],
    )
    def test_finds_what_does_not_run(self, tmp_path, text):
        page = tmp_path / "page.md"
        page.write_text(text)
        with pytest.raises(Exception, match=r"."):
            run_page(page, tmp_path)

    @pytest.mark.parametrize("language", ["toml", "xml", ""])
    def test_does_not_pass_over_what_it_does_not_know(self, tmp_path, language):
        page = tmp_path / "page.md"
        page.write_text(f"```{language}\na = 1\n```")
        with pytest.raises(KeyError, match=f"^'{language}'$"):
            run_page(page, tmp_path)

    def test_writes_files_and_runs_what_is_between_them(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(
            '```python title="a/b.py"\nX = 1\n```\n\n```python\nfrom a.b import X\nprint(X)\n```\n'
            "```sh\ntest -f a/b.py\n```\n<!-- not run: it fails -->\n\n```sh\nfalse\n```"
        )
        assert run_page(page, tmp_path) == "1\n"

    def test_does_not_tidy_up_after_others(self, tmp_path, tmp_path_factory):
        """A pytest deletes the temporary folders of earlier ones, for minutes, unless they are out of its reach."""
        page = tmp_path / "page.md"
        inside = f"def test(tmp_path): assert str(tmp_path).startswith({str(tmp_path_factory.getbasetemp())!r})"
        page.write_text(f'```python title="test_a.py"\n{inside}\n```')
        run_page(page, tmp_path)

    @pytest.mark.parametrize(
        ("shown", "printed", "agrees"),
        [
            ("in 3ms, …", "in 12ms, at last\nand more", True),
            ("in 3ms", "in 3s", False),
            ('{"a": 1, "b": "…"}', '{"a":1,"b":"x"}', True),
            ('{"a": 1}', '{"a":2}', False),
            ("[2026-11-22T16:41:16.077Z] Started.", "[2030-01-01T00:00:00.000Z] Started.", True),
        ],
    )
    def test_knows_what_may_differ_from_what_is_shown(self, shown, printed, agrees):
        assert bool(re.fullmatch(output_pattern(shown), printed)) == agrees
