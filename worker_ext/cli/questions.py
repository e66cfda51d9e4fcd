"""Questions to a person. Where nobody sits at a terminal nothing is asked: a script would wait for ever."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from getpass import getpass

from worker_ext.errors import ConfigurationError


def can_ask() -> bool:
    """Whether somebody can read a question and answer it."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def ask(question: str, default: str = "") -> str:
    """The answer to a question, ``default`` if it is empty.

    :raises ConfigurationError: the input ended.
    """
    try:
        return input(f"{question} [{default}]: " if default else f"{question}: ").strip() or default
    except EOFError:
        raise ConfigurationError("no answer was given") from None


def choose(question: str, choices: Sequence[str], default: str = "") -> str:
    """Show numbered choices and return what was answered: a choice for its number, anything else as it is.

    :raises ConfigurationError: the input ended.
    """
    for number, choice in enumerate(choices, start=1):
        print(f"{number}. {choice}")
    answer = ask(f"{question} (number or name)", default)
    if answer.isdecimal() and 1 <= int(answer) <= len(choices):
        return choices[int(answer) - 1]
    return answer


def ask_secret(question: str) -> str:
    """The answer to a question, typed without an echo.

    :raises ConfigurationError: the input ended.
    """
    try:
        return getpass(f"{question}: ")
    except EOFError:
        raise ConfigurationError("no answer was given") from None
