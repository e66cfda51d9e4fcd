"""The source lines that a traceback went through, of the app's own files only."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_FRAME = re.compile(r'^ *(?:\| )*  File "(.+)", line (\d+), in (.+)$', re.MULTILINE)
_AROUND = 3
_MOST = 5
_LARGEST = 1_000_000  # bytes of a source file


def places_in_app(traceback: str, script_root: Path) -> list[dict[str, Any]]:
    """The places in the app's own files that a traceback names, with the lines around each; the last one last.

    :param traceback: as Python writes it. Whatever it says, no file outside the app's folder is read.
    :param script_root: the app's folder.
    """
    places = []
    for name, number, function in _FRAME.findall(traceback)[-50:]:
        lines = _own_lines(Path(name), script_root)
        line = int(number)
        if not lines or line > len(lines):
            continue
        first = max(1, line - _AROUND)
        places.append(
            {
                "file": Path(name).resolve().relative_to(script_root).as_posix(),
                "line": line,
                "function": function,
                "first": first,
                "source": lines[first - 1 : line + _AROUND],
            }
        )
    return places[-_MOST:]


def _own_lines(file: Path, script_root: Path) -> list[str]:
    try:
        found = file.resolve()
        if not found.is_relative_to(script_root) or found.suffix != ".py" or found.stat().st_size > _LARGEST:
            return []
        if {"site-packages", ".venv", ".python_packages"} & set(found.relative_to(script_root).parts):
            return []
        return found.read_text(encoding="utf-8", errors="replace").splitlines()
    except (OSError, ValueError):
        return []
