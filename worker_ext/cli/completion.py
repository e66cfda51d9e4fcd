"""``func completion``: what a shell needs to complete ``func`` commands.

``func completion SHELL`` prints a few lines for the shell, which ask ``func completion --words WORD...`` whenever
somebody presses Tab. The answer comes from the parsers that the commands are parsed with: its first line is
``words``, ``files`` or ``folders``, and after ``words`` follows a line for each candidate: the word, a tab, its help.
"""

from __future__ import annotations

from argparse import REMAINDER, SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from worker_ext.cli.main import VERBS, find_verb, make_parser
from worker_ext.cli.project import Project
from worker_ext.cli.settings_file import CONNECTION_STRINGS, VALUES, SettingsFile
from worker_ext.cli.templates import TEMPLATES, render
from worker_ext.errors import ConfigurationError, WorkerExtError

SHELLS = ("bash", "zsh", "fish", "powershell")
WORDS, FILES, FOLDERS = "words", "files", "folders"


class Candidate(NamedTuple):
    """A word that may stand where the cursor is, and what it is for."""

    word: str
    help: str = ""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func completion``."""
    parser.add_argument("shell", nargs="?", choices=SHELLS, help="the shell")
    parser.add_argument("--words", nargs=REMAINDER, help=SUPPRESS)


def run(arguments: Namespace) -> int:
    """Print the lines for a shell, or answer one that asks.

    :raises ConfigurationError: no shell is named.
    """
    if arguments.words is not None:
        command_line: list[str] = arguments.command_line  # argparse loses a --
        kind, candidates = complete(command_line[command_line.index("--words") + 1 :])
        print(kind)
        for candidate in candidates:
            print(f"{candidate.word}\t{candidate.help}")
        return 0
    if arguments.shell is None:
        raise ConfigurationError(f"for which shell? There are: {', '.join(SHELLS)}")
    print(render(f"completion/{arguments.shell}"), end="")
    return 0


def complete(words: Sequence[str]) -> tuple[str, list[Candidate]]:
    """What may stand in place of the last of ``words``.

    :param words: the words after ``func``, up to and with the one that the cursor is in; that one may be empty.
    :return: :data:`WORDS` and candidates, or :data:`FILES` or :data:`FOLDERS`, which shells know better.
    """
    words = [word for word in words if word != "="] or [""]  # bash makes three words of --model=v2
    *before, typed = words
    if before[:1] == ["help"]:
        return WORDS, _starting_with(_next_words(before[1:], "help"), typed)
    verb, rest = find_verb(before)
    if verb is None:
        return WORDS, _starting_with(_next_words(before), typed)
    actions = [action for action in make_parser(verb)._actions if action.help != SUPPRESS]
    option, positionals = _position(actions, rest)
    action = option or next(iter(_positionals(actions)[positionals:] or _repeated(actions)), None)
    if action is None or (option is None and typed.startswith("-")):
        options = (Candidate(name, _help(action)) for action in actions for name in action.option_strings)
        return WORDS, _starting_with(options, typed)
    kind, values = _values(verb.names[0], action)
    return kind, _starting_with(values, typed)


def _next_words(before: Sequence[str], *more: str) -> Iterator[Candidate]:
    """The words that go on a command after ``before``."""
    others = {"help": "show what there is"} if not before and not more else {}
    for verb in VERBS:
        for name in verb.names:
            parts = name.split()
            if parts[: len(before)] == list(before) and len(parts) > len(before):
                others.setdefault(parts[len(before)], verb.help if len(parts) == len(before) + 1 else "")
    yield from (Candidate(word, text) for word, text in others.items())


def _position(actions: Sequence[Action], words: Sequence[str]) -> tuple[Action | None, int]:
    """The option whose value comes after ``words``, if it is one's, and how many positional words there are."""
    by_name = {name: action for action in actions for name in action.option_strings}
    current, count = None, 0
    for word in words:
        if word in by_name:
            current = by_name[word] if by_name[word].nargs != 0 else None
        elif current is None:
            count += 1
        elif current.nargs not in ("+", "*"):
            current = None
    return current, count


def _positionals(actions: Sequence[Action]) -> list[Action]:
    return [action for action in actions if not action.option_strings]


def _repeated(actions: Sequence[Action]) -> list[Action]:
    return [action for action in _positionals(actions)[-1:] if action.nargs in ("+", "*")]


def _values(verb: str, action: Action) -> tuple[str, Iterable[Candidate]]:
    if (verb, action.dest) in _OF_THE_APP:
        try:
            return WORDS, list(_OF_THE_APP[verb, action.dest]())
        except WorkerExtError:  # of a file that cannot be read; who presses Tab wants no error
            return WORDS, []
    if action.choices is not None:
        return WORDS, [Candidate(str(choice)) for choice in action.choices]
    metavar = str(action.metavar or "")
    if "DIR" in metavar or "FOLDER" in metavar or action.dest == "folder":
        return FOLDERS, []
    return (FILES if action.type is Path or "FILE" in metavar else WORDS), []


def _templates() -> Iterator[Candidate]:
    return (Candidate(template.name, template.title) for template in TEMPLATES)


def _settings() -> Iterator[Candidate]:
    file = SettingsFile(Path.cwd())
    return (Candidate(name, group) for group in (VALUES, CONNECTION_STRINGS) for name in file.read(group))


def _functions() -> Iterator[Candidate]:
    return map(Candidate, Project(Path.cwd()).v1_functions())


_OF_THE_APP: dict[tuple[str, str], Callable[[], Iterable[Candidate]]] = {
    ("new", "template"): _templates,
    ("settings add", "name"): _settings,
    ("settings delete", "name"): _settings,
    ("host start", "functions"): _functions,
}
"""Values that no parser knows: verb and destination of the argument."""


def _starting_with(candidates: Iterable[Candidate], typed: str) -> list[Candidate]:
    return [candidate for candidate in candidates if candidate.word.lower().startswith(typed.lower())]


def _help(action: Action) -> str:
    return " ".join(str(action.help or "").replace("%%", "%").split())
