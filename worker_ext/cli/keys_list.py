"""``func keys list``: the keys that ``func host start --enableAuth`` asks for."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from pathlib import Path

from worker_ext.cli.kinds import AZURE
from worker_ext.cli.options import add_json
from worker_ext.cli.project import Project
from worker_ext.host.app_state import AppState
from worker_ext.host.keys import KeyStore
from worker_ext.host.state import state_folder


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func keys list``."""
    parser.add_argument("--function", metavar="NAME", help="only the keys of this function")
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the names of the keys. Their values cannot be had: only hashes are kept.

    :raises ConfigurationError: this is no function app, the keys cannot be read, or the local host is not installed.
    """
    Project(Path.cwd()).require_host_json()
    AZURE.require()
    store = KeyStore(AppState(state_folder(Path.cwd())))
    keys = store.list(arguments.function)
    if arguments.json:
        print(json.dumps([key._asdict() for key in keys], indent=2))
        return 0
    print("Keys:")
    for key in keys:
        print(f"   -> Name: {key.name}\n      Scope: {key.scope}\n      Created: {key.created}\n")
    if not keys and arguments.function is None:
        print("None yet. `func host start --enableAuth` makes the first ones, and shows them.")
    return 0
