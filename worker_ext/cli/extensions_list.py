"""``func extensions list``: the extensions of the app in this folder, as the app's own Python has them."""

from __future__ import annotations

import json
import subprocess
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import ConfigurationError
from ..hooks.switches import FLAG
from ..host.app_settings import HostOptions, read_settings
from ..runtimes.protocol import unpack_error
from .kinds import AZURE, kind_of
from .options import add_json

_BOOT = Path(__file__).resolve().parents[1] / "boot.py"
_HEAD = ("", "NAME", "VERSION", "SCOPE", "HOOKS", "SOURCE")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the options of ``func extensions list``."""
    parser.add_argument("--script-root", "--prefix", type=Path, default=Path(), metavar="DIR", help="the app's folder")
    add_json(parser)


def run(arguments: Namespace) -> int:
    """Print the extensions in the order in which they come.

    :raises ConfigurationError: the app, or one of its settings, is wrong.
    """
    root = arguments.script_root.resolve()
    kind = kind_of(root)
    if kind is not AZURE:
        raise ConfigurationError(f"this lists the extensions of Azure Functions apps, not of {kind.title} ones")
    settings = read_settings(HostOptions(script_root=root))
    found = _ask(settings.python, settings.environ, root)
    if "error" in found:
        raise unpack_error(found["error"])
    if arguments.json:
        print(json.dumps(found, indent=2))
        return 0
    extensions = found["extensions"]
    print(_table(extensions, found["functions"]) if extensions else "No extensions.")
    for extension in extensions:
        for hook, why in extension["refused"].items():
            print(f"\n{extension['name']}.{hook} is not run: {why}")
    if extensions and not found["enabled"]:
        print(f"\nNone of them runs: {FLAG} is off. Set it to 1 in local.settings.json.")
    return 0


def _ask(python: str, environ: Mapping[str, str], root: Path) -> dict[str, Any]:
    """Have the app's Python load the app and list its extensions."""
    command = [python, str(_BOOT), "extensions", "azure", str(root)]
    try:
        done = subprocess.run(command, cwd=root, env=dict(environ), stdout=subprocess.PIPE, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{python} cannot be run: {error.strerror or error}") from None
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise ConfigurationError(
            f"the app's Python, {python}, ended with status {done.returncode} while it loaded the app"
        ) from None
    return answer


def _table(extensions: Sequence[Mapping[str, Any]], functions: Sequence[str]) -> str:
    rows = [_HEAD, *(_row(extension, functions) for extension in extensions)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(extension: Mapping[str, Any], functions: Sequence[str]) -> tuple[str, ...]:
    scope = extension["scope"]
    shown = "all functions" if scope == functions else ", ".join(scope) or "no function"
    hooks = (hook.removesuffix("_app_level") for hook in extension["hooks"])
    return (
        str(extension["order"]),
        extension["name"],
        extension["version"] or "-",
        f"{shown} (required)" if extension["required"] else shown,
        ", ".join(hooks) or "-",
        extension["source"],
    )
