"""``func settings add``: set an app setting in ``local.settings.json``."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from worker_ext.cli.options import add_settings_group
from worker_ext.cli.questions import ask_secret, can_ask
from worker_ext.cli.settings_file import SettingsFile
from worker_ext.errors import ConfigurationError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func settings add``."""
    parser.add_argument("name", help="the setting's name")
    parser.add_argument("value", nargs="?", help="its value; left out, it is asked for; - reads it from the input")
    add_settings_group(parser)


def run(arguments: Namespace) -> int:
    """Set the setting, whether it is there already or not.

    :raises ConfigurationError: the file cannot be changed, or there is no value and nobody to ask for it.
    """
    file = SettingsFile.of_app(Path.cwd())
    name, value = arguments.name, arguments.value
    if value == "-":
        value = sys.stdin.read().rstrip("\r\n")
    elif value is None:
        if not can_ask():
            raise ConfigurationError(
                f"which value does {name} have? There is no terminal to ask at",
                hint="func settings add NAME VALUE, or - in its place to read the value from the input",
            )
        value = ask_secret(f"Value of {name}")
    file.add(arguments.group, name, value)
    print(f"{name} is set in {file.path.name}.")
    return 0
