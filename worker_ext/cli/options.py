"""Options that several commands have."""

from __future__ import annotations

from argparse import SUPPRESS, ArgumentParser

from worker_ext.cli.settings_file import CONNECTION_STRINGS, VALUES


def add_json(parser: ArgumentParser) -> None:
    """Declare ``--json``, for commands that list something."""
    parser.add_argument("--json", "--enable-json-output", action="store_true", help="print JSON, for programs")


def add_settings_group(parser: ArgumentParser) -> None:
    """Declare ``--connectionString``: ``group`` is the part of ``local.settings.json`` that a command is about."""
    parser.add_argument(
        "--connectionString",
        "--connection-string",
        dest="group",
        action="store_const",
        const=CONNECTION_STRINGS,
        default=VALUES,
        help="it is one of the ConnectionStrings, not of the Values",
    )


def add_language(parser: ArgumentParser) -> None:
    """Declare ``--language`` of Azure's own tool; here there is one language."""
    parser.add_argument("-l", "--language", metavar="NAME", type=str.lower, help="the language: python")
    parser.add_argument("--csx", action="store_true", help=SUPPRESS)
