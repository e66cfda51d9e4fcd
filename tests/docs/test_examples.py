"""The code in the documentation runs as it stands there.

A page is a folder: a block with a title, as in ``title="function_app.py"``, is the file of that name. Blocks without
one are one script, from top to bottom of the page; files called ``test_….py`` are run by pytest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "readme.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "extensions").glob("*/readme.md"))]

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<options>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)
_TITLE = re.compile(r'title="([^"]+)"')


_ENVIRON = {"APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true"}  # a library would report its use over the network


class Block(NamedTuple):
    """A block of code.

    :ivar line: where it begins on its page.
    """

    language: str
    title: str | None
    code: str
    line: int


def blocks(text: str) -> list[Block]:
    """The blocks of code of a page."""
    found = []
    for match in _BLOCK.finditer(text):
        title = _TITLE.search(match["options"])
        line = text.count("\n", 0, match.start()) + 2
        found.append(Block(match["language"], title and title[1], dedent(match["code"]), line))
    return found


def run_page(page: Path, folder: Path) -> str:
    """Run what is on a page, in an empty folder; gives what was printed."""
    found = blocks(page.read_text(encoding="utf-8"))
    script = ""
    for block in found:
        if block.title:
            file = folder / block.title
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(block.code, encoding="utf-8")
        elif block.language == "sh":
            make_packages(block.code, folder)
        elif block.language in ("python", "py"):
            script += "\n" * (block.line - 1 - script.count("\n")) + block.code  # lines are numbered as on the page
    printed = ""
    packages = os.pathsep.join(map(str, [folder, *folder.glob("*/src")]))  # as if `pip install -e` had been run
    tests = sorted(folder.rglob("test_*.py"))
    commands = []
    if script:
        (folder / "page.py").write_text(script, encoding="utf-8")
        commands.append(["page.py"])
    if tests:
        commands.append(["-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, tests)])
    for command in commands:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, **_ENVIRON, "PYTHONPATH": packages, "AzureWebJobsScriptRoot": str(folder)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, f"{page}: {' '.join(command)}\n{done.stdout}\n{done.stderr}"
        printed += done.stdout
    return printed


def make_packages(commands: str, folder: Path) -> None:
    """Run those commands of a page that make files. What they need to have installed is installed here."""
    for line in commands.splitlines():
        if line.startswith(("func extensions new ", "func init ")):
            words = [sys.executable, "-m", "worker_ext", *line.split()[1:]]
            environ = {**os.environ, "PYTHONPATH": str(ROOT)}
            subprocess.run(words, cwd=folder, env=environ, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_runs(page, tmp_path):
    run_page(page, tmp_path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_block_says_its_language(page):
    assert not [block.line for block in blocks(page.read_text(encoding="utf-8")) if not block.language]


class TestTheRunner:
    @pytest.mark.parametrize(
        "text",
        [
            "```python\nraise SystemExit(1)\n```",
            '```python title="test_a.py"\ndef test(): assert False\n```',
            "1. x\n\n   ```py\n   1/0\n   ```",
        ],
    )
    def test_finds_what_does_not_run(self, tmp_path, text):
        page = tmp_path / "page.md"
        page.write_text(text)
        with pytest.raises(AssertionError):
            run_page(page, tmp_path)

    def test_writes_files_and_runs_what_is_between_them(self, tmp_path):
        page = tmp_path / "page.md"
        page.write_text(
            '```python title="a/b.py"\nX = 1\n```\n\n```python\nfrom a.b import X\nprint(X)\n```\n```sh\nfalse\n```'
        )
        assert run_page(page, tmp_path) == "1\n"

    def test_does_not_tidy_up_after_others(self, tmp_path, tmp_path_factory):
        """A pytest deletes the temporary folders of earlier ones, for minutes, unless they are out of its reach."""
        page = tmp_path / "page.md"
        inside = f"def test(tmp_path): assert str(tmp_path).startswith({str(tmp_path_factory.getbasetemp())!r})"
        page.write_text(f'```python title="test_a.py"\n{inside}\n```')
        run_page(page, tmp_path)
