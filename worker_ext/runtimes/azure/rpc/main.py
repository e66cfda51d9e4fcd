"""Where a worker process begins that a Functions host has started."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ...app_path import make_importable
from ...serve import live
from .options import SCRIPT_ROOT_SETTING, parse
from .packages import make_available

_ROOT_SETTINGS = ("FUNCTIONS_APPLICATION_DIRECTORY", SCRIPT_ROOT_SETTING)


def main(arguments: Sequence[str]) -> NoReturn:
    """Run a worker process; a Functions host starts it through ``boot.py``.

    :param arguments: the command line.
    """
    options = parse(arguments)
    root = next((value for name in _ROOT_SETTINGS if (value := os.environ.get(name))), None)
    if root:  # before anything is imported that the app may have a version of
        make_importable(Path(root).resolve())
    make_available()
    try:
        from .session import RpcSession
    except ImportError as error:
        _explain(error)
    live(lambda loop: RpcSession(options, loop))


def _explain(error: ImportError) -> NoReturn:
    raise SystemExit(
        f"worker-ext needs h2 and protobuf, which cannot be used with the app's Python, {sys.executable}: {error}\n"
        f'  {sys.executable} -m pip install "worker-ext[rpc]"'
    )
