"""``func init``: make the files of a new function app."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from worker_ext.cli import core_tools
from worker_ext.cli.options import add_language
from worker_ext.cli.project import V2_FILE, Project
from worker_ext.cli.templates import render

# What Azure Functions Core Tools 4 write for Python, and below .vscode what their editor extension adds: a debugger
# that attaches to the app. Each file with its template below templates/project.
_FILES = (
    ("host.json", "host.json"),
    ("local.settings.json", "local.settings.json"),
    ("requirements.txt", "requirements.txt"),
    (".gitignore", "gitignore"),
    (".funcignore", "funcignore"),
    (".vscode/extensions.json", "vscode_extensions.json"),
    (".vscode/launch.json", "vscode_launch.json"),
    (".vscode/settings.json", "vscode_settings.json"),
    (".vscode/tasks.json", "vscode_tasks.json"),
)

_DOCS = "getting_started.md"
"""Core Tools write it for the v2 model only."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func init``."""
    parser.add_argument("folder", nargs="?", default=".", help="where to make the app (default: the current folder)")
    parser.add_argument("--python", action="store_true", help="make a Python app; there is no other kind, so optional")
    parser.add_argument("--worker-runtime", metavar="NAME", type=str.lower, help="the same: python")
    parser.add_argument(
        "-m", "--model", type=str.lower, choices=("v1", "v2"), default="v2", help="programming model (default: v2)"
    )
    parser.add_argument("--force", action="store_true", help="replace files that exist, keeping each as FILE.bak")
    parser.add_argument("--no-docs", action="store_true", help=f"v2: make no {_DOCS}")
    parser.add_argument("--no-source-control", action="store_true", help="no effect: none is ever set up")
    add_language(parser)
    parser.add_argument("--docker", action="store_true", help="left to Azure Functions Core Tools")


def run(arguments: Namespace) -> int:
    """Make the app.

    :raises ConfigurationError: a file cannot be written, or Core Tools are needed and not there.
    """
    runtime = arguments.worker_runtime or arguments.language
    if runtime not in (None, "python"):
        return core_tools.hand_over(arguments.command_line, f"An app for the worker runtime `{runtime}`")
    if arguments.docker:
        return core_tools.hand_over(arguments.command_line, "A Dockerfile")
    if runtime is None and not arguments.python:
        print("Worker runtime: python, the only one there is here")

    project = Project(Path(arguments.folder))
    for name, template in _FILES:
        content = render(f"project/{template}", model=arguments.model.removeprefix("v"))
        project.write(name, content, replace=arguments.force)
    new = "func new -t HttpTrigger -n HttpTrigger -a anonymous"
    if arguments.model == "v2":
        project.write(V2_FILE, render(f"project/{V2_FILE}"), replace=arguments.force)
        if not arguments.no_docs:
            project.write(_DOCS, render(f"project/{_DOCS}"), replace=arguments.force)
    else:
        new += " -m v1"
    print(f"\nAdd a function with, for example: {new}")
    return 0
