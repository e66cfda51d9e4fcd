"""``func call``: call one function of this folder once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from .kinds import kind_of


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("function", metavar="NAME", help="the function's name")
    parser.add_argument("payload", nargs="?", default="", metavar="PAYLOAD", help="what with; - reads standard input")
    parser.add_argument("--script-root", "--prefix", type=Path, default=Path(), metavar="DIR", help="the app's folder")
    parser.add_argument("--verbose", action="store_true", help="tell more on standard error")


def run(arguments: Namespace) -> int:
    """Call it, and write its reply to standard output.

    :returns: 0 if it succeeded, 1 if it failed.
    :raises ConfigurationError: if it cannot be called.
    """
    kind = kind_of(arguments.script_root)
    kind.require()
    text = arguments.payload
    arguments.payload = sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape")
    return kind.load().call(arguments)
