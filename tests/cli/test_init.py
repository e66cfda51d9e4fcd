"""``func init``."""

from __future__ import annotations

import ast
import json
import re

import pytest

from worker_ext import jsonc
from worker_ext.cli.main import find_verb, main, make_parser

COMMON = {
    ".funcignore",
    ".gitignore",
    ".vscode/extensions.json",
    ".vscode/launch.json",
    ".vscode/settings.json",
    ".vscode/tasks.json",
    "host.json",
    "local.settings.json",
    "requirements.txt",
}
V2 = {"function_app.py", "getting_started.md"}


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_files_of_a_v2_app(folder, capsys):
    assert main(["init", "--python"]) == 0
    assert files(folder) == COMMON | V2
    printed = capsys.readouterr().out
    assert all(f"Writing {name}\n" in printed for name in files(folder))


def test_the_files_of_a_v1_app(folder):
    assert main(["init", "--python", "-m", "v1"]) == 0
    assert files(folder) == COMMON


def test_a_v2_app_without_docs(folder):
    assert main(["init", "--python", "--no-docs"]) == 0
    assert files(folder) == COMMON | {"function_app.py"}


def test_the_commands_of_getting_started_are_commands(folder, capsys):
    """Those that change the app work in it; the others are known."""
    main(["init", "--python"])
    text = (folder / "getting_started.md").read_text()
    commands = re.findall(r"^\$ func (.+)$", text, re.MULTILINE) + re.findall(r"`func ([^`]+)`", text)
    assert len(commands) > 5
    for command in map(str.split, commands):
        verb, rest = find_verb(command)
        assert verb is not None, command
        assert make_parser(verb).parse_args(rest), command
    assert main(commands[0].split()) == 0
    assert all((folder / name).exists() for name in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_their_content(folder):
    main(["init", "--python"])

    host = json.loads((folder / "host.json").read_text())
    assert host["version"] == "2.0"
    assert host["extensionBundle"] == {
        "id": "Microsoft.Azure.Functions.ExtensionBundle",
        "version": "[4.*, 5.0.0)",
    }
    assert host["logging"]["applicationInsights"]["samplingSettings"]["isEnabled"] is True

    settings = json.loads((folder / "local.settings.json").read_text())
    assert settings == {
        "IsEncrypted": False,
        "Values": {"FUNCTIONS_WORKER_RUNTIME": "python", "AzureWebJobsStorage": "UseDevelopmentStorage=true"},
    }

    lines = (folder / "requirements.txt").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == ["azure-functions"]

    for name in ("extensions", "launch", "settings"):
        json.loads((folder / ".vscode" / f"{name}.json").read_text())
    for ignore in (".gitignore", ".funcignore"):
        assert "local.settings.json" in (folder / ignore).read_text().splitlines()

    last = ast.parse((folder / "function_app.py").read_text()).body[-1]
    assert ast.unparse(last) == "app = func.FunctionApp()"


@pytest.mark.parametrize("model", ["v1", "v2"])
def test_an_editor_can_attach_its_debugger_to_what_it_starts(folder, model):
    main(["init", "--python", "-m", model])
    (launch,) = json.loads((folder / ".vscode" / "launch.json").read_text())["configurations"]
    tasks = {task["label"]: task for task in jsonc.load(folder / ".vscode" / "tasks.json").value["tasks"]}
    start = tasks[launch["preLaunchTask"]]
    assert f"--listen 127.0.0.1:{launch['connect']['port']}" in start["args"][-1]
    assert "debugpy" in tasks[start["dependsOn"]]["args"]
    # VS Code's regular expressions, in what is the same to Python's.
    matcher = start["problemMatcher"]
    assert re.search(
        matcher["background"]["endsPattern"], "[2026-11-24T14:10:16Z] Worker process started and initialized."
    )
    problem = re.search(
        matcher["pattern"]["regexp"], "[2026-11-24T14:10:16Z] /app/function_app.py:3: syntax error: what"
    )
    assert problem.groups() == ("/app/function_app.py", "3", "syntax error: what")
    settings = json.loads((folder / ".vscode" / "settings.json").read_text())
    assert settings["azureFunctions.projectLanguageModel"] == int(model[1])


@pytest.mark.parametrize(
    "options", [["--worker-runtime", "python"], ["--worker-runtime", "Python", "--model", "V2", "--no-source-control"]]
)
def test_other_ways_to_say_it(folder, options):
    assert main(["init", *options]) == 0
    assert (folder / "function_app.py").exists()


def test_without_a_runtime_it_says_that_there_is_only_one(folder, capsys):
    assert main(["init"]) == 0
    assert "python, the only one" in capsys.readouterr().out
    assert (folder / "host.json").exists()


def test_in_another_folder(folder):
    assert main(["init", "new/app", "--python"]) == 0
    assert files(folder / "new" / "app") == COMMON | V2


def test_what_exists_is_kept_and_that_is_said(folder, capsys):
    (folder / "host.json").write_text("mine")
    assert main(["init", "--python"]) == 0
    assert (folder / "host.json").read_text() == "mine"
    assert "Keeping host.json" in capsys.readouterr().out
    assert (folder / "function_app.py").exists()


def test_force_replaces_what_exists_and_keeps_a_copy(folder, capsys):
    (folder / "function_app.py").write_text("# a day's work")
    assert main(["init", "--python", "--force"]) == 0
    assert "FunctionApp" in (folder / "function_app.py").read_text()
    assert (folder / "function_app.py.bak").read_text() == "# a day's work"
    assert "function_app.py.bak" in capsys.readouterr().out


def test_force_does_not_lose_the_copy_when_repeated(folder):
    (folder / "function_app.py").write_text("# a day's work")
    main(["init", "--python", "--force"])
    main(["init", "--python", "--force"])
    assert (folder / "function_app.py.bak").read_text() == "# a day's work"


def test_a_folder_that_is_a_file(folder, capsys):
    (folder / "app").write_text("")
    assert main(["init", "app", "--python"]) == 1
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "what"), [(["--worker-runtime", "node"], "`node`"), (["--python", "--docker"], "Dockerfile")]
)
def test_what_it_cannot_do_changes_nothing(func, folder, options, what):
    finished = func("init", *options)
    assert finished.returncode == 1
    assert what in finished.stderr
    assert files(folder) == set()
