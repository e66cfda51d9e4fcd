"""``func`` and ``worker-ext``: find the verb on the command line, import its module, and run it.

A verb's module offers ``add_arguments(parser)`` and ``run(arguments) -> int``; it is imported only when the
verb is used, so that every command starts fast. ``arguments.command_line`` holds the words that ``func`` was
called with, for a verb that has to hand them over (see :mod:`worker_ext.cli.core_tools`).
"""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from typing import NamedTuple, NoReturn

from worker_ext import __version__
from worker_ext.cli import core_tools
from worker_ext.errors import WorkerExtError

_ALIKE = 0.7
"""How much alike two words must be for one to be a slip of the other: `start` and `strat` are 0.8."""

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_PIPE = 141
"""What shells report for a program that nobody reads any more: 128 + SIGPIPE."""
EXIT_INTERRUPTED = 130
"""What shells report for a program that Ctrl+C ended: 128 + SIGINT."""


class Verb(NamedTuple):
    """One thing that ``func`` can do.

    :param names: what the user types: one name, then aliases of it; each is one or two words.
    :param module: the module that does it.
    :param help: one line for the overview.
    """

    names: tuple[str, ...]
    module: str
    help: str


VERBS = (
    Verb(("host start", "start"), "worker_ext.cli.host_start", "run the functions of this folder"),
    Verb(("call",), "worker_ext.cli.call", "call one function of this folder"),
    Verb(("baetyl function",), "worker_ext.cli.baetyl_function", "run a function instance as Baetyl starts it"),
    Verb(("init",), "worker_ext.cli.init", "make a new function app"),
    Verb(("new", "function new", "function create"), "worker_ext.cli.new", "add a function to the app in this folder"),
    Verb(("pack",), "worker_ext.cli.pack", "make a zip file to deploy, or unpack packages beside code"),
    Verb(("templates list",), "worker_ext.cli.templates_list", "list what `func new` can make"),
    Verb(("settings list",), "worker_ext.cli.settings_list", "list the app settings of this machine"),
    Verb(("settings add",), "worker_ext.cli.settings_add", "set one of them"),
    Verb(("settings delete",), "worker_ext.cli.settings_delete", "remove one of them"),
    Verb(("keys list",), "worker_ext.cli.keys_list", "list the keys of this app, without their values"),
    Verb(("completion",), "worker_ext.cli.completion", "print what makes a shell complete `func` commands"),
    Verb(
        ("worker-directory",), "worker_ext.cli.worker_directory", "print the folder of the worker for a Functions host"
    ),
    Verb(("extensions list",), "worker_ext.cli.extensions_list", "list the extensions of the app in this folder"),
    Verb(("extensions new",), "worker_ext.cli.extensions_new", "make the package of a new worker extension"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status.

    :param argv: the words after ``func``; those of this process if None.
    :returns: 0 for success, 1 for an error that was explained on stderr, 2 for a command line that makes no
        sense, 130 after Ctrl+C, 141 if nobody reads the output any more, or what a program that the command was handed
        over to returned.
    """
    command_line = list(sys.argv[1:] if argv is None else argv)
    try:
        status = _dispatch(command_line)
        sys.stdout.flush()
        return status
    except WorkerExtError as error:
        print(error, file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # whoever reads the output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what the interpreter flushes in the end
        return EXIT_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _dispatch(command_line: list[str]) -> int:
    first = command_line[0] if command_line else "help"
    if first in ("help", "--help", "-h"):
        return _help(command_line)
    if first in ("--version", "-v"):
        print(f"worker-ext {__version__}")
        return 0
    verb, rest = find_verb(command_line)
    if verb is None:
        return _unknown(command_line, command_line)
    parser = make_parser(verb)
    parser.set_defaults(command_line=command_line)
    try:
        arguments = parser.parse_args(rest)
    except SystemExit as exit_:  # argparse's way to end: 0 after --help, 2 after a usage error
        return EXIT_USAGE if exit_.code else 0
    status: int = import_module(verb.module).run(arguments)
    return status


class _Parser(ArgumentParser):
    """Tells a mistake on the command line in two lines, where :mod:`argparse` begins with the whole usage."""

    def error(self, message: str) -> NoReturn:
        """Tell the mistake, and end.

        :raises SystemExit: always.
        """
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\nSee `{self.prog} --help`.\n")


def make_parser(verb: Verb) -> ArgumentParser:
    """The parser of what follows a verb."""
    parser = _Parser(prog=f"func {verb.names[0]}", description=_sentence(verb.help), allow_abbrev=False)
    import_module(verb.module).add_arguments(parser)
    return parser


def find_verb(words: Sequence[str]) -> tuple[Verb | None, list[str]]:
    """The verb that ``words`` begin with, and the words that follow it."""
    for verb in VERBS:
        for name in verb.names:
            name_words = name.split()
            if list(words[: len(name_words)]) == name_words:
                return verb, list(words[len(name_words) :])
    return None, list(words)


def _unknown(command_line: list[str], asked: list[str]) -> int:
    """Deal with a command that is not ours.

    :param command_line: all the words after ``func``.
    :param asked: those of them that should have begun with a verb.
    """
    words = list(takewhile(lambda word: not word.startswith("-"), asked))
    if not words:
        return _usage_error(f"{asked[0]}: no such option; options come after the command")
    if len(words) == 1:
        completions = [name for verb in VERBS for name in verb.names if name.startswith(f"{words[0]} ")]
        if completions:
            return _usage_error(f"{words[0]}: incomplete, did you mean `func {completions[0]}`?")
    # No more than two words are repeated: what follows can be a secret, as in `func settings add NAME VALUE`.
    return core_tools.hand_over(
        command_line, f"`func {' '.join(words[:2])}`", ours=_all_names(), suggestion=_nearest_name(words)
    )


def _all_names() -> list[str]:
    return [*(name for verb in VERBS for name in verb.names), "help"]


def _nearest_name(words: Sequence[str]) -> str | None:
    """Which of our names the user may have meant."""
    from difflib import SequenceMatcher

    def likeness(name: str) -> float:
        """That of the word that is least like what was typed."""
        pairs = zip(name.split(), words, strict=False)
        return min(
            # Letters that changed places make a typo, also where a word has only three.
            _ALIKE if sorted(word) == sorted(typed) and word != typed else SequenceMatcher(None, word, typed).ratio()
            for word, typed in pairs
        )

    names = [name for name in _all_names() if len(name.split()) <= len(words)]
    nearest = max(names, key=lambda name: (likeness(name), len(name)))
    return f"func {nearest}" if likeness(nearest) >= _ALIKE else None


def _usage_error(message: str) -> int:
    print(f"func: {message}\nSee `func help`.", file=sys.stderr)
    return EXIT_USAGE


def _help(command_line: list[str]) -> int:
    asked = command_line[1:]
    if not asked:
        print(_overview())
        return 0
    verb, _ = find_verb(asked)
    if verb is None:
        return _unknown(command_line, asked)
    return _dispatch([*verb.names[0].split(), "--help"])


def _overview() -> str:
    width = max(len(name) for name in _all_names())
    rows = [f"  {verb.names[0]:<{width}}  {verb.help}{_aliases(verb)}" for verb in VERBS]
    return "\n".join(
        [
            "usage: func COMMAND [OPTION ...]",
            "",
            "Run, make and extend apps of Python functions.",
            "",
            *rows,
            f"  {'help':<{width}}  show this, or `func help COMMAND` what a command takes",
            "",
            "Any other command is handed over to Azure Functions Core Tools, if they are on PATH.",
            "`func --version` shows the version.",
        ]
    )


def _aliases(verb: Verb) -> str:
    return f" (or: {', '.join(verb.names[1:])})" if len(verb.names) > 1 else ""


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."
