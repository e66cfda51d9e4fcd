"""How a stock worker comes to have a bridge: in the course of an app's import of :mod:`worker_ext`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ..errors import ConfigurationError
from ..hooks.registry import extensions_enabled
from ..hooks.sdk import extensions
from . import sdk_seam, stock_registry
from .bridge import Bridge, end_process
from .contexts import RUNS_CLASSIC_HOOKS
from .shape import Inactive, UnknownShape


def install_in(package: str | None) -> None:
    """Have the functions of this process run with their hooks.

    :param package: the stock package that runs them, ``None`` if it is one that nobody knows.
    :raises ConfigurationError: if an extension that the settings name cannot be used; a v2 app is not indexed then.
    """
    bridge = Bridge(enabled=extensions_enabled(), beside_classic=package == RUNS_CLASSIC_HOOKS)
    is_indexing = _is_indexing()
    try:
        if package is None:
            raise UnknownShape("it runs functions by a package that is not known")
        if is_indexing:
            sdk_seam.join(bridge, package)
        else:
            stock_registry.join(bridge, package)
    except Inactive as reason:
        bridge.give_up(reason)
    extensions().observers.append(bridge.adapt)
    try:
        _load_named()
    except ConfigurationError as error:
        if is_indexing:
            raise
        end_process(error)  # of a v1 app, the runtime would go on to serve the other functions


def _load_named() -> None:
    if any(name.upper().startswith("WORKER_EXT_") for name in os.environ):  # the import costs a third of all this
        from ..hooks.discovery import load_named

        load_named()


def _is_indexing() -> bool:
    """Whether the runtime is importing a v2 app's script at this moment, to ask it for its functions next."""
    module = sys.modules.get(Path(sdk_seam.script_name()).stem)
    return module is not None and getattr(module.__spec__, "_initializing", True)
