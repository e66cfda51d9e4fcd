"""Where a worker process begins that a Functions host has started."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from ...app_path import make_importable
from ...serve import live
from .options import SCRIPT_ROOT_SETTING, parse
from .packages import make_available

_ROOT_SETTINGS = ("FUNCTIONS_APPLICATION_DIRECTORY", SCRIPT_ROOT_SETTING)


_TOO_OLD = re.compile(r"2\.|3\.1?[0-9]\.")  # protobuf that cannot load the worker's messages


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
    protobuf = sys.modules.get("google.protobuf")
    version = str(getattr(protobuf, "__version__", ""))
    if _TOO_OLD.match(version):
        raise SystemExit(
            f"the app brings protobuf {version} ({getattr(protobuf, '__file__', '')}),"
            " but worker-ext needs 3.20.2 or newer\n"
            "  Pin a newer one in requirements.txt, or none if the app needs none: worker-ext then uses its own."
        )
    raise SystemExit(
        f"worker-ext needs h2 and protobuf, which cannot be used with the app's Python, {sys.executable}: {error}\n"
        f'  {sys.executable} -m pip install "worker-ext[rpc]"'
    )
