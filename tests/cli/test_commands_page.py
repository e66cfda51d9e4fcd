"""docs/commands.md: its examples are commands, and no command is missing."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from worker_ext.cli.main import VERBS, find_verb, make_parser

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "commands.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\$ func (.+)$", PAGE, re.MULTILINE)
FOR_MACHINES = {"worker-directory", "baetyl function"}
"""Commands that other programs run."""


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example(example):
    verb, rest = find_verb(shlex.split(example))
    assert verb is not None
    make_parser(verb).parse_args(rest)


@pytest.mark.parametrize("name", [verb.names[0] for verb in VERBS if verb.names[0] not in FOR_MACHINES])
def test_every_command_is_described(name):
    first, *second = name.split()
    assert (
        re.search(rf"`func {first}\b[^|]*`{second[0]}`" if second else rf"`func {first}`", PAGE)
        or f"`func {name}`" in PAGE
    )


@pytest.mark.parametrize("option", re.findall(r"`(--[a-zA-Z-]+)`", PAGE))
def test_every_option_that_is_mentioned_exists(option):
    names = {name for verb in VERBS for action in make_parser(verb)._actions for name in action.option_strings}
    assert option in names
