"""``func new``: add a function to the app in the current folder, from a template."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from difflib import get_close_matches
from pathlib import Path

from worker_ext.cli import core_tools
from worker_ext.cli.app_source import AppSource
from worker_ext.cli.project import V2_FILE, Project
from worker_ext.cli.templates import TEMPLATES, FunctionTemplate, find_template, render
from worker_ext.errors import ConfigurationError

# The rule of the Functions host, `FunctionNameValidationRegex` in its ScriptHost.
_FUNCTION_NAME = re.compile(r"(?!host\Z)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE | re.ASCII)

_DEFAULT_AUTH_LEVEL = "function"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func new``."""
    names = ", ".join(template.name for template in TEMPLATES)
    parser.add_argument("-t", "--template", help=f"one of: {names}")
    parser.add_argument("-n", "--name", help="the function's name")
    parser.add_argument(
        "-a",
        "--authlevel",
        type=str.lower,
        choices=("anonymous", "function", "admin"),
        help=f"who may call an HTTP function (default: {_DEFAULT_AUTH_LEVEL})",
    )
    parser.add_argument(
        "-m", "--model", type=str.lower, choices=("v1", "v2"), help="programming model (default: the app's)"
    )
    parser.add_argument("--force", action="store_true", help="replace a v1 function of that name")


def run(arguments: Namespace) -> int:
    """Add the function.

    :raises ConfigurationError: this is no function app, the template or the name does not do, or a file stands in
        the way.
    """
    project = Project(Path.cwd())
    project.require_host_json()
    model = project.model(arguments.model)
    wanted = _ask_for_template() if arguments.template is None else arguments.template
    template = find_template(wanted)
    if template is None:
        return _unknown_template(arguments.command_line, wanted)
    if arguments.authlevel and not template.is_http:
        raise ConfigurationError(
            f"--authlevel is for functions that answer HTTP requests, which a {template.title} does not"
        )
    name = _ask_for_name(template) if arguments.name is None else arguments.name
    _check_name(name)

    auth_level = arguments.authlevel or _DEFAULT_AUTH_LEVEL
    if model == "v2":
        _add_v2(project, template, name, auth_level)
    else:
        _add_v1(project, template, name, auth_level, replace=arguments.force)
    print(f'The function "{name}" was made from the "{template.title}" template. Run it with: func host start')
    return 0


def _add_v2(project: Project, template: FunctionTemplate, name: str, auth_level: str) -> None:
    path = project.root / V2_FILE
    if not path.exists():
        project.write(V2_FILE, render(f"project/{V2_FILE}"))
    source = AppSource(path)
    line = source.find_function(name)
    if line is not None:
        raise ConfigurationError(
            f"there is a function {name} already", file=path, line=line, hint="Choose another name, or delete it first."
        )
    identifier = source.identifier_for(name)
    names = {"app": source.app, "func": source.functions_module, "identifier": identifier}
    decorators = render(f"{template.folder}/decorators.py", **names, name=name, auth_level_constant=auth_level.upper())
    if identifier != name:
        decorators = f'@{source.app}.function_name(name="{name}")\n{decorators}'
    print(f"Appending to {V2_FILE}")
    source.append(render(f"{template.folder}/function.py", **names), decorators)


def _add_v1(project: Project, template: FunctionTemplate, name: str, auth_level: str, *, replace: bool) -> None:
    files = {
        f"{name}/__init__.py": render(f"{template.folder}/function.py", func="func", identifier="main"),
        f"{name}/function.json": render(f"{template.folder}/function.json", auth_level=auth_level),
    }
    if not replace:
        for existing in project.v1_functions():
            if existing.casefold() == name.casefold():
                raise ConfigurationError(
                    f"there is a function {existing} already",
                    file=project.root / existing,
                    hint="Choose another name, or replace it with --force.",
                )
        for file in files:
            if (project.root / file).exists():
                raise ConfigurationError(
                    "exists already", file=project.root / file, hint="Choose another name, or replace it with --force."
                )
    for file, content in files.items():
        project.write(file, content, replace=replace)


def _check_name(name: str) -> None:
    if not _FUNCTION_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be a function's name",
            hint="It begins with a letter, goes on with letters, digits, - and _ up to 128 characters, "
            "all without accents, and is not `host`.",
        )


def _unknown_template(command_line: list[str], wanted: str) -> int:
    titles = [template.name for template in TEMPLATES]
    nearest = get_close_matches(wanted, titles, n=1)
    return core_tools.hand_over(
        command_line,
        f"The template {wanted!r}",
        ours=titles,
        suggestion=f"func new -t {nearest[0]}" if nearest else None,
    )


def _ask_for_template() -> str:
    names = [template.name for template in TEMPLATES]
    if not sys.stdin.isatty():
        raise ConfigurationError("which template? Say it with --template", hint=f"There are: {', '.join(names)}.")
    for number, template in enumerate(TEMPLATES, start=1):
        print(f"{number}. {template.title}")
    answer = _ask("Template (number or name): ")
    if answer.isdecimal() and 1 <= int(answer) <= len(names):
        return names[int(answer) - 1]
    return answer


def _ask_for_name(template: FunctionTemplate) -> str:
    if not sys.stdin.isatty():
        raise ConfigurationError("what is the function's name? Say it with --name")
    return _ask(f"Function name [{template.name}]: ") or template.name


def _ask(question: str) -> str:
    try:
        return input(question).strip()
    except EOFError:
        raise ConfigurationError("no answer was given") from None
