"""``requirements.txt`` of an app: which packages it names, and adding one."""

from __future__ import annotations

import re
from collections.abc import Iterable

FILE_NAME = "requirements.txt"

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def missing(text: str, wanted: Iterable[str]) -> list[str]:
    """Those of the packages ``wanted`` that a requirements file does not name.

    :param text: the file's content. What it includes with ``-r`` is not looked at.
    :param wanted: names of packages.
    """
    named = {_normalized(match[1]) for line in text.splitlines() if (match := _NAME.match(line))}
    return [name for name in wanted if _normalized(name) not in named]


def append(text: str, names: Iterable[str]) -> str:
    """A requirements file with a line more for each name, its line ends kept."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += newline
    return text + "".join(f"{name}{newline}" for name in names)


def _normalized(name: str) -> str:
    """A name as PEP 503 compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
