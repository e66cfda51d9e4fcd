"""``requirements.txt`` of an app: which packages it names, and adding one."""

from __future__ import annotations

import re
from collections.abc import Iterable

FILE_NAME = "requirements.txt"

_NAME = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


def missing(text: str, wanted: Iterable[str]) -> list[str]:
    """Those of the requirements ``wanted`` whose package a requirements file does not name.

    :param text: the file's content. What it includes with ``-r`` is not looked at.
    :param wanted: requirements, such as ``name>=1``.
    """
    named = set(map(_package, text.splitlines()))
    return [requirement for requirement in wanted if _package(requirement) not in named]


def append(text: str, requirements: Iterable[str]) -> str:
    """A requirements file with a line more for each requirement, its line ends kept."""
    newline = "\r\n" if "\r\n" in text else "\n"
    if text and not text.endswith("\n"):
        text += newline
    return text + "".join(f"{requirement}{newline}" for requirement in requirements)


def _package(requirement: str) -> str:
    """The name of the package, as PEP 503 compares it; empty for a comment or an option."""
    match = _NAME.match(requirement)
    return re.sub(r"[-_.]+", "-", match[1]).lower() if match else ""
