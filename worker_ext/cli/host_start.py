"""``func host start``: run the app in this folder, of whichever kind it is."""

from __future__ import annotations

from argparse import Action, ArgumentParser, Namespace
from pathlib import Path

from ..errors import ConfigurationError
from .kinds import KINDS, Kind, kind_of


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options: those that all kinds of apps have, then those of each."""
    parser.add_argument("--functions", nargs="+", default=[], metavar="NAME", help="serve only these functions")
    parser.add_argument("--script-root", "--prefix", type=Path, default=Path(), metavar="DIR", help="the app's folder")
    parser.add_argument("--verbose", action="store_true", help="tell more on the console")
    own = {kind: kind.load().add_arguments(parser.add_argument_group(f"{kind.title} apps")) for kind in KINDS}
    parser.set_defaults(own_options=own)


def run(arguments: Namespace) -> int:
    """Run the host until it is told to stop.

    :raises ConfigurationError: if it cannot start.
    """
    kind = kind_of(arguments.script_root)
    kind.require()
    _refuse_others(arguments, kind, arguments.own_options)
    arguments.functions = [name for listed in arguments.functions for name in listed.split(",") if name]
    return kind.load().serve(arguments)


def _refuse_others(arguments: Namespace, kind: Kind, own: dict[Kind, list[Action]]) -> None:
    """Refuse the options of other kinds, rather than not doing what they ask for."""
    for other, actions in own.items():
        for action in actions:
            if other != kind and getattr(arguments, action.dest) != action.default and getattr(arguments, action.dest):
                name = action.option_strings[-1] if action.option_strings else getattr(arguments, action.dest)[0]
                raise ConfigurationError(
                    f"{name} is for {other.title} apps; {str(arguments.script_root)!r} holds a {kind.title} app"
                )
