"""``func settings list``: show what is in ``local.settings.json``."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from worker_ext.cli.options import add_json
from worker_ext.cli.settings_file import CONNECTION_STRINGS, VALUES, SettingsFile

_MASK = "*****"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func settings list``."""
    parser.add_argument(
        "-a", "--showValue", "--show-value", action="store_true", help="show the values, which may be secrets"
    )
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the settings, their values only if asked to.

    :raises ConfigurationError: the file cannot be read, or this is no function app.
    """
    file = SettingsFile.of_app(Path.cwd())
    settings = {
        group: [
            {"name": name, "value": _text(value) if arguments.showValue else _MASK}
            for name, value in file.read(group).items()
        ]
        for group in (VALUES, CONNECTION_STRINGS)
    }
    if arguments.json:
        print(json.dumps(settings, indent=2))
        return 0
    for title, group in (("App Settings:", VALUES), ("Connection Strings:", CONNECTION_STRINGS)):
        print(title)
        for setting in settings[group]:
            print(f"   -> Name: {setting['name']}\n      Value: {setting['value']}\n")
    if not file.exists:
        print(f"There is no {file.path.name} here; `func settings add` makes one.", file=sys.stderr)
    return 0


def _text(value: Any) -> str:
    """A value as the environment will have it."""
    if isinstance(value, dict):  # a connection string in the long form of Core Tools
        value = next((inner for key, inner in value.items() if key.lower() == "connectionstring"), "")
    return value if isinstance(value, str) else json.dumps(value)
