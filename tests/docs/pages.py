"""The blocks of code of a page, and what is said about them in comments that its readers do not see.

``<!-- not run: REASON -->`` above a block: the tests do not run it, for that reason.
``<!-- given: COMMAND -->`` above a block: what its reader has done before, of which the page does not tell.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "readme.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "extensions").glob("*/readme.md"))]

_BLOCK = re.compile(
    r"(?P<notes>(?:^ *<!-- [^\n]* -->\n\n?)*)"
    r"^(?P<indent> *)```(?P<language>\w*)(?P<options>[^\n]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.M | re.S,
)
_NOTE = re.compile(r"<!-- (?P<kind>not run|given): (?P<text>.+) -->")
_TITLE = re.compile(r'title="([^"]+)"')
_FIRST_LINE = re.compile(r"# (\S+\.py)\n")  # says the name where titles are not shown


class Block(NamedTuple):
    """A block of code.

    :ivar title: the file that it is, if it is one.
    :ivar line: where it begins on its page.
    :ivar given: commands that its reader has run before.
    :ivar not_run: why the tests do not run it, if they do not.
    """

    language: str
    title: str | None
    code: str
    line: int
    given: tuple[str, ...]
    not_run: str | None


def name(page: Path) -> str:
    """A page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """The blocks of code of a page."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        title = _TITLE.search(match["options"]) or _FIRST_LINE.match(match["code"])
        line = text.count("\n", 0, match.start("code")) + 1
        notes = [(note["kind"], note["text"]) for note in _NOTE.finditer(match["notes"])]
        given = tuple(said for kind, said in notes if kind == "given")
        reasons = [said for kind, said in notes if kind == "not run"]
        code = dedent(match["code"])
        found.append(Block(match["language"], title and title[1], code, line, given, reasons[0] if reasons else None))
    return found
