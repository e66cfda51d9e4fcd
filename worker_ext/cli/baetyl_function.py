"""``func baetyl function``: run a function instance as Baetyl starts it."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from importlib.util import find_spec
from pathlib import Path

from ..errors import ConfigurationError


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options, as Baetyl's own runtimes name them."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        default=Path("etc/baetyl/service.yml"),
        metavar="FILE",
        help="the service's settings",
    )


def run(arguments: Namespace) -> int:
    """Run it until it is told to stop.

    :raises ConfigurationError: if it cannot start.
    """
    missing = [name for name in ("yaml", "grpc", "google.protobuf") if not _is_there(name)]
    if missing:
        raise ConfigurationError(
            f"a function instance needs {' and '.join(missing)}, which a bare install leaves out",
            hint="pip install 'worker-ext[baetyl]'",
        )
    from ..host.baetyl.instance import serve

    return serve(arguments.config)


def _is_there(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False
