"""``func templates list``: the templates that ``func new`` knows."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from worker_ext.cli import core_tools
from worker_ext.cli.options import add_json, add_language
from worker_ext.cli.templates import TEMPLATES


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func templates list``."""
    add_language(parser)
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the templates.

    :raises ConfigurationError: another language is wanted, and Core Tools are not there.
    """
    if arguments.language not in (None, "python"):
        return core_tools.hand_over(arguments.command_line, f"Templates for {arguments.language}")
    if arguments.json:
        fields = ("name", "title", "requirements")
        templates = [{**{field: getattr(one, field) for field in fields}, "http": one.is_http} for one in TEMPLATES]
        print(json.dumps(templates, indent=2))
        return 0
    width = max(len(template.name) for template in TEMPLATES)
    print("Python Templates:")
    for template in TEMPLATES:
        print(f"  {template.name:<{width}}  {template.title}")
    return 0
