"""``func completion``: what is offered, and that shells offer it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.hosting import write_app
from support.terminal import Terminal

from worker_ext.cli.completion import SHELLS, complete
from worker_ext.cli.main import VERBS, main

REPOSITORY = Path(__file__).resolve().parents[2]


def words(line: str) -> list[str]:
    """What is offered where a command line ends; one that ends with a space ends with an empty word."""
    kind, candidates = complete(line.split(" "))
    assert kind == "words"
    return [candidate.word for candidate in candidates]


def kind(line: str) -> str:
    return complete(line.split(" "))[0]


class TestWhatIsOffered:
    def test_commands(self):
        offered = words("")
        assert {"init", "new", "host", "start", "settings", "pack", "help"} <= set(offered)
        assert len(offered) == len(set(offered))

    @pytest.mark.parametrize(
        ("line", "offered"),
        [
            ("in", ["init"]),
            ("host ", ["start"]),
            ("settings ", ["list", "add", "delete"]),
            ("settings l", ["list"]),
            ("help se", ["settings"]),
            ("help settings d", ["delete"]),
            ("nonsense ", []),
            ("new -m ", ["v1", "v2"]),
            ("new --model V", ["v1", "v2"]),
            ("new --model = v2", ["v2"]),  # as bash splits --model=v2
            ("new --auth", ["--authlevel"]),
            ("new -t azure", []),
            ("new -t ht", ["HttpTrigger", "HttpTriggerWithExtension"]),
            ("new --force -t Timer", ["TimerTrigger"]),
            ("completion ", [*SHELLS]),
            ("completion bash ", ["-h", "--help"]),
            ("new -n ", []),
            ("host start --csx", []),
            ("host start --enable-j", ["--enable-json-output"]),
        ],
    )
    def test_at_the_end_of(self, line, offered):
        assert words(line) == offered

    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ("init ", "folders"),
            ("init sub", "folders"),
            ("pack ", "folders"),
            ("pack --target ", "folders"),
            ("pack -o ", "files"),
            ("new --file ", "files"),
            ("host start --script-root ", "folders"),
            ("host start --json-output-file x", "files"),
        ],
    )
    def test_files_are_the_shell_s_own_business(self, line, expected):
        assert kind(line) == expected

    def test_every_option_of_every_command(self, capsys):
        for verb in VERBS:
            main([*verb.names[0].split(), "--help"])
            help_text = capsys.readouterr().out
            for option in words(f"{verb.names[0]} --"):
                assert option in help_text

    def test_settings_of_the_app(self, folder):
        write_app(folder, {"local.settings.json": '{"Values": {"A": "s3cret"}, "ConnectionStrings": {"B": "x"}}'})
        assert words("settings delete ") == ["A", "B"]
        assert words("settings add a") == ["A"]

    def test_functions_of_the_app(self, folder):
        write_app(folder, {"One/function.json": "{}", "Two/function.json": "{}"})
        assert words("host start --functions ") == ["One", "Two"]
        assert words("host start --functions One T") == ["Two"]

    def test_a_settings_file_that_cannot_be_read_is_no_error(self, folder):
        write_app(folder, {"local.settings.json": "{"})
        assert words("settings delete ") == []

    def test_the_answer_to_a_shell(self, func):
        finished = func("completion", "--words", "settings", "")
        assert finished.stdout.splitlines()[:2] == ["words", "list\tlist the app settings of this machine"]
        assert (
            func("completion", "--words", "new", "--mo").stdout
            == "words\n--model\tprogramming model (default: the app's)\n"
        )
        assert func("completion", "--words", "new", "--").stdout.startswith("words\n--help\t")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_lines_for_each_shell(func, shell):
    finished = func("completion", shell)
    assert finished.returncode == 0
    assert "completion --words" in finished.stdout
    assert "$$" not in finished.stdout


def test_no_shell_or_an_unknown_one(func):
    assert "bash, zsh, fish, powershell" in func("completion").stderr
    assert func("completion", "tcsh").returncode == 2


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"{shell} is not installed")


@pytest.fixture
def app(folder):
    return write_app(folder, {"local.settings.json": '{"Values": {"MY_KEY": "x"}}', "data/x": ""})


@pytest.fixture
def on_path(tmp_path, executable):
    """A PATH on which ``func`` is ours."""
    (tmp_path / "bin").mkdir()
    executable(tmp_path / "bin", f'env PYTHONPATH="{REPOSITORY}" "{sys.executable}" -m worker_ext')
    return os.pathsep.join([str(tmp_path / "bin"), os.environ["PATH"]])


LINES = [
    ("func temp", "func templates"),
    ("func new --template Queu", "func new --template QueueTrigger"),
    ("func settings delete ", "func settings delete MY_KEY"),
    ("func pack -o local.se", "func pack -o local.settings.json"),
    ("func pack --target da", "func pack --target data"),
]
"""What is typed before Tab, and what stands there afterwards."""

INTERACTIVE = {
    "bash": (["bash", "--norc", "-i"], 'eval "$(func completion bash)"; PS1=re"ady":'),
    "zsh": (["zsh", "-f", "-i"], 'autoload -Uz compinit; compinit -u -D; eval "$(func completion zsh)"; PS1=re"ady":'),
}


@pytest.mark.parametrize("shell", [pytest.param(name, marks=needs(name)) for name in INTERACTIVE])
@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_pressing_tab(app, on_path, shell, typed, completed):
    command, preparation = INTERACTIVE[shell]
    with Terminal(command, cwd=app, environ={"PATH": on_path, "HOME": str(app)}) as terminal:
        terminal.type(f"{preparation}\n")
        terminal.wait_for("ready:")
        terminal.type(f"{typed}\t")
        terminal.wait_for(completed)


@needs("fish")
@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_fish(app, on_path, typed, completed):
    script = f"func completion fish | source; complete -C '{typed}'"
    finished = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=app,
        env={"PATH": on_path, "HOME": str(app), "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.stderr == ""
    assert finished.stdout.split("\t")[0].strip().rstrip("/") == completed.split()[-1]
