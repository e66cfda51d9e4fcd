"""``func new``: add a function to the app in the current folder, from a template."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from difflib import get_close_matches
from pathlib import Path

from worker_ext.cli import core_tools
from worker_ext.cli.app_source import BLUEPRINT_CLASSES, AppSource
from worker_ext.cli.options import add_language
from worker_ext.cli.project import V2_FILE, Project
from worker_ext.cli.questions import ask, can_ask, choose
from worker_ext.cli.settings_file import VALUES, SettingsFile
from worker_ext.cli.templates import TEMPLATES, FunctionTemplate, exists, find_template, render
from worker_ext.errors import ConfigurationError

# The rule of the Functions host, `FunctionNameValidationRegex` in its ScriptHost.
_FUNCTION_NAME = re.compile(r"(?!host\Z)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE | re.ASCII)

_AUTH_LEVELS = ("function", "anonymous", "admin")
"""The first is the default."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func new``."""
    parser.add_argument("-t", "--template", metavar="NAME", help="see `func templates list`")
    parser.add_argument("-n", "--name", help="the function's name")
    parser.add_argument(
        "-a",
        "--authlevel",
        type=str.lower,
        choices=_AUTH_LEVELS,
        help=f"who may call an HTTP function (default: {_AUTH_LEVELS[0]})",
    )
    parser.add_argument(
        "-m", "--model", type=str.lower, choices=("v1", "v2"), help="programming model (default: the app's)"
    )
    parser.add_argument(
        "-f", "--file", metavar="FILE.py", help=f"v2: add it to a blueprint in this file, not to {V2_FILE}"
    )
    parser.add_argument("--force", action="store_true", help="replace a v1 function of that name")
    add_language(parser)


def run(arguments: Namespace) -> int:
    """Add the function, and what it needs to ``requirements.txt`` and ``local.settings.json``.

    :raises ConfigurationError: this is no function app, the template or the name does not do, or a file stands in
        the way.
    """
    if arguments.language not in (None, "python"):
        return core_tools.hand_over(arguments.command_line, f"A function in {arguments.language}")
    project = Project(Path.cwd())
    project.require_host_json()
    model = project.model(arguments.model)
    wanted = arguments.template or _ask_for_template()
    template = find_template(wanted)
    if template is None:
        return _unknown_template(arguments.command_line, wanted)
    if arguments.authlevel and not template.is_http:
        raise ConfigurationError(
            f"--authlevel is for functions that answer HTTP requests, which a {template.title} does not"
        )
    if arguments.file and model == "v1":
        raise ConfigurationError("--file is for the v2 model; a v1 function has a folder of its own")
    name = _ask_for_name(template) if arguments.name is None else arguments.name
    _check_name(name)
    auth_level = arguments.authlevel or (_ask_for_auth_level() if template.is_http else _AUTH_LEVELS[0])

    if model == "v2":
        _add_v2(project, template, name, auth_level, file=arguments.file or V2_FILE)
    else:
        _add_v1(project, template, name, auth_level, replace=arguments.force)
    _provide(project, template)
    print(f'The function "{name}" was made from the "{template.title}" template. Run it with: func host start')
    return 0


def _add_v2(project: Project, template: FunctionTemplate, name: str, auth_level: str, *, file: str) -> None:
    if not (project.root / V2_FILE).exists():
        project.write(V2_FILE, render(f"project/{V2_FILE}"))
    app = AppSource(project.root / V2_FILE)
    source = app if file == V2_FILE else _blueprint(project, file)
    for one in {app.path: app, source.path: source}.values():
        line = one.find_function(name)
        if line is not None:
            raise ConfigurationError(
                f"there is a function {name} already",
                file=one.path,
                line=line,
                hint="Choose another name, or delete it first.",
            )
    identifier = source.identifier_for(name)
    names = {"app": source.app, "func": source.functions_module, "identifier": identifier}
    decorators = render(f"{template.folder}/decorators.py", **names, name=name, auth_level_constant=auth_level.upper())
    if identifier != name:
        decorators = f'@{source.app}.function_name(name="{name}")\n{decorators}'
    print(f"Appending to {file}")
    source.append(render(f"{template.folder}/function.py", **names), decorators)
    module = Path(file).stem
    if source is not app and not app.registers(module, source.app):
        print(f"Registering it in {V2_FILE}")
        app.register(module, source.app)


def _blueprint(project: Project, file: str) -> AppSource:
    """The blueprint in ``file``, which is made if it is not there."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*\.py", file):
        raise ConfigurationError(
            f"--file {file!r} is no name of a Python module in the app's folder",
            hint="It is made of letters, digits and _ and ends in .py, such as blueprint.py",
        )
    if not (project.root / file).exists():
        project.write(file, render("project/blueprint.py"))
    return AppSource(project.root / file, BLUEPRINT_CLASSES)


def _add_v1(project: Project, template: FunctionTemplate, name: str, auth_level: str, *, replace: bool) -> None:
    own = f"{template.folder}/v1.py"
    code = render(own) if exists(own) else render(f"{template.folder}/function.py", func="func", identifier="main")
    files = {
        f"{name}/__init__.py": code,
        f"{name}/function.json": render(f"{template.folder}/function.json", auth_level=auth_level, name=name),
    }
    readme = f"{template.folder}/readme.md"
    if exists(readme):
        files[f"{name}/readme.md"] = render(readme, name=name)
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


def _provide(project: Project, template: FunctionTemplate) -> None:
    """Add what the function needs besides its own code, and say what is left to do."""
    if project.add_requirements(template.requirements):
        print("Install it with: pip install -r requirements.txt")
    settings = SettingsFile(project.root)
    there = {name.lower() for name in settings.read(VALUES)}
    for name, value in template.settings:
        if name.lower() not in there:
            settings.add(VALUES, name, value)
            todo = "" if value else "; give it its value there"
            print(f"Adding the setting {name} to {settings.path.name}{todo}")


def _check_name(name: str) -> None:
    if not _FUNCTION_NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} cannot be a function's name",
            hint="It begins with a letter, goes on with letters, digits, - and _ up to 128 characters, "
            "all without accents, and is not `host`.",
        )


def _unknown_template(command_line: list[str], wanted: str) -> int:
    names = [template.name for template in TEMPLATES]
    nearest = get_close_matches("".join(wanted.split()), names, n=1)
    return core_tools.hand_over(
        command_line,
        f"The template {wanted!r}",
        ours=names,
        suggestion=f"func new -t {nearest[0]}" if nearest else None,
    )


def _ask_for_template() -> str:
    if not can_ask():
        names = ", ".join(template.name for template in TEMPLATES)
        raise ConfigurationError("which template? Say it with --template", hint=f"There are: {names}.")
    return choose("Template", [template.title for template in TEMPLATES])


def _ask_for_name(template: FunctionTemplate) -> str:
    if not can_ask():
        raise ConfigurationError("what is the function's name? Say it with --name")
    return ask("Function name", template.name)


def _ask_for_auth_level() -> str:
    if not can_ask():
        return _AUTH_LEVELS[0]
    answer = choose("Authorization level", _AUTH_LEVELS, _AUTH_LEVELS[0]).lower()
    if answer not in _AUTH_LEVELS:
        raise ConfigurationError(f"{answer!r} is no authorization level", hint=f"There are: {', '.join(_AUTH_LEVELS)}.")
    return answer
