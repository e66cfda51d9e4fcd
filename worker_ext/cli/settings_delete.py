"""``func settings delete``: remove an app setting from ``local.settings.json``."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from worker_ext.cli.options import add_settings_group
from worker_ext.cli.settings_file import SettingsFile
from worker_ext.errors import ConfigurationError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func settings delete``."""
    parser.add_argument("name", help="the setting's name")
    add_settings_group(parser)


def run(arguments: Namespace) -> int:
    """Remove the setting.

    :raises ConfigurationError: the file cannot be changed, or there is no such setting.
    """
    file, group = SettingsFile.of_app(Path.cwd()), arguments.group
    if not file.delete(group, arguments.name):
        names = ", ".join(file.read(group)) or "none"
        raise ConfigurationError(
            f"there is no setting {arguments.name!r} in {group}", file=file.path, hint=f"There are: {names}."
        )
    print(f"{arguments.name} is removed from {file.path.name}.")
    return 0
