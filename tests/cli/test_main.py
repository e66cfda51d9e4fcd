"""Finding the verb, and what the exit status says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import worker_ext
from worker_ext.cli import main as cli
from worker_ext.cli.main import VERBS, Verb, main
from worker_ext.errors import ConfigurationError

ROOT = str(Path(__file__).resolve().parents[2])


@pytest.fixture
def verb(monkeypatch):
    """A verb ``greet someone``, alias ``hi``; what it does is set by the test."""
    module = ModuleType("greeting_verb")
    module.add_arguments = lambda parser: parser.add_argument("--name", default="you")
    module.run = lambda arguments: print(f"Hello, {arguments.name}") or 0
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(cli, "VERBS", (*VERBS, Verb(("greet someone", "hi"), module.__name__, "say hello")))
    return module


@pytest.mark.parametrize("name", ["greet someone", "hi"])
def test_a_verb_is_found_by_its_name_and_its_alias(verb, capsys, name):
    assert main([*name.split(), "--name", "Ada"]) == 0
    assert capsys.readouterr().out == "Hello, Ada\n"


def test_the_status_is_what_the_verb_returns(verb):
    verb.run = lambda arguments: 42
    assert main(["hi"]) == 42


def test_a_verb_can_see_the_whole_command_line(verb):
    seen = []
    verb.run = lambda arguments: seen.append(arguments.command_line) or 0
    main(["greet", "someone", "--name", "Ada"])
    assert seen == [["greet", "someone", "--name", "Ada"]]


def test_without_argv_it_reads_that_of_the_process(verb, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["func", "hi"])
    assert main() == 0
    assert capsys.readouterr().out == "Hello, you\n"


def test_an_error_for_people_is_printed_without_a_traceback(verb, capsys):
    def run(arguments):
        raise ConfigurationError("no port", file="host.json", line=3, hint="Set one.")

    verb.run = run
    assert main(["hi"]) == 1
    assert capsys.readouterr() == ("", "host.json:3: no port\n  Set one.\n")


def test_any_other_error_is_a_defect_and_not_hidden(verb):
    def run(arguments):
        raise ZeroDivisionError

    verb.run = run
    with pytest.raises(ZeroDivisionError):
        main(["hi"])


def test_ctrl_c(verb):
    def run(arguments):
        raise KeyboardInterrupt

    verb.run = run
    assert main(["hi"]) == 130


@pytest.mark.parametrize(
    ("command_line", "complaint"),
    [
        (["hi", "--nmae", "Ada"], "--nmae"),
        (["hi", "--na", "Ada"], "--na"),  # no abbreviations: a later option could make them ambiguous
        (["hi", "extra"], "extra"),
        (["--verbose", "hi"], "--verbose"),
        (["greet"], "func greet someone"),
        (["greet", "--name", "Ada", "someone"], "func greet someone"),
        (["help", "--all"], "--all"),
    ],
)
def test_a_command_line_that_makes_no_sense(verb, capsys, command_line, complaint):
    assert main(command_line) == 2
    printed = capsys.readouterr()
    assert complaint in printed.err
    assert printed.out == ""


def test_a_mistake_is_told_without_the_whole_usage(verb, capsys):
    main(["hi", "--nmae", "Ada"])
    assert capsys.readouterr().err == (
        "func greet someone: unrecognized arguments: --nmae Ada\nSee `func greet someone --help`.\n"
    )


@pytest.mark.parametrize("command_line", [[], ["help"], ["--help"], ["-h"]])
def test_the_overview_has_every_verb(verb, capsys, command_line):
    assert main(command_line) == 0
    overview = capsys.readouterr().out
    for one in cli.VERBS:
        assert one.help in overview
        assert all(name in overview for name in one.names)


@pytest.mark.parametrize("command_line", [["help", "hi"], ["help", "greet", "someone"], ["hi", "--help"]])
def test_the_help_of_one_verb(verb, capsys, command_line):
    assert main(command_line) == 0
    help_text = capsys.readouterr().out
    assert help_text.startswith("usage: func greet someone")
    assert "Say hello." in help_text
    assert "--name" in help_text


@pytest.mark.parametrize("option", ["--version", "-v"])
def test_version(capsys, option):
    assert main([option]) == 0
    assert capsys.readouterr().out == f"worker-ext {worker_ext.__version__}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="there is no head")
def test_a_reader_that_has_read_enough_is_no_error(folder):
    """`func templates list | head -1`, in which the reader has gone before anything is written."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "worker_ext", "templates", "list"]
    finished = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT})
    os.close(writer)
    assert (finished.returncode, finished.stderr) == (141, b"")


def test_importing_it_imports_no_verb_and_nothing_slow():
    code = "import sys, worker_ext.cli.main; print(*sys.modules)"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert "worker_ext.cli.main" in loaded
    assert not loaded & {
        *(one.module for one in VERBS),
        "azure.functions",
        "asyncio",
        "subprocess",
        "importlib.metadata",
    }


def test_python_m_is_the_same_as_func(func):
    finished = func("--version")
    assert (finished.returncode, finished.stdout) == (0, f"worker-ext {worker_ext.__version__}\n")
