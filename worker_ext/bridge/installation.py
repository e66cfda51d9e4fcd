"""How a stock worker comes to have a bridge: in the course of an app's import of :mod:`worker_ext`."""

from __future__ import annotations

import sys
from pathlib import Path

from ..hooks.registry import extensions_enabled
from ..hooks.sdk import extensions
from . import sdk_seam, stock_registry
from .bridge import Bridge
from .contexts import RUNS_CLASSIC_HOOKS
from .shape import UnknownShape


def install_in(package: str | None) -> None:
    """Have the functions of this process run with their hooks.

    :param package: the stock package that runs them, ``None`` if it is one that nobody knows.
    """
    bridge = Bridge(enabled=extensions_enabled(), beside_classic=package == RUNS_CLASSIC_HOOKS)
    try:
        if package is None:
            raise UnknownShape("it runs functions by a package that is not known")
        if _is_indexing():
            sdk_seam.join(bridge, package)
        else:
            stock_registry.join(bridge, package)
    except UnknownShape as change:
        bridge.give_up(change)
    extensions().observers.append(bridge.adapt)


def _is_indexing() -> bool:
    """Whether the runtime is importing a v2 app's script at this moment, to ask it for its functions next."""
    module = sys.modules.get(Path(sdk_seam.script_name()).stem)
    return module is not None and getattr(module.__spec__, "_initializing", True)
