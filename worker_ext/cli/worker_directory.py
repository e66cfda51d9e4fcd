"""``worker-ext worker-directory``: the folder that has a Functions host start our worker in place of the stock one."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

import worker_ext

SETTING = "languageWorkers__python__workerDirectory"
"""The host's setting that takes the folder; Core Tools pass their environment on to it."""


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of the verb: there are none."""


def run(_arguments: Namespace) -> int:
    """Print the folder; warn where the packages are missing that the worker speaks to such a host with."""
    print(Path(worker_ext.__file__).resolve().parent)
    if find_spec("h2") is None:
        print(
            f"{sys.executable} has no h2, which the worker needs unless the app brings its own:\n"
            f'  {sys.executable} -m pip install "worker-ext[rpc]"',
            file=sys.stderr,
        )
    return 0
