"""The bridge itself: it gives the functions of a stock runtime their hooks, and says so where it cannot."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from ..function import Function
from ..hooks.pipeline import run_load_hooks
from ..hooks.registry import Registry, extensions_enabled
from . import sdk_seam, stock_registry
from .crossing import Crossing, TakeContext
from .shape import UnknownShape

_logger = logging.getLogger("worker_ext")


def install_in(package: str | None) -> None:
    """Have the functions of this process run with their hooks.

    :param package: the stock package that runs them, ``None`` if it is one that nobody knows.
    """
    if not extensions_enabled():
        return
    bridge = Bridge(Registry(enabled=True))
    try:
        if package is None:
            raise UnknownShape("it runs functions by a package that is not known")
        if _is_indexing():
            sdk_seam.join(bridge, package)
        else:
            stock_registry.join(bridge, package)
    except UnknownShape as change:
        bridge.give_up(change)


def _is_indexing() -> bool:
    """Whether the runtime is importing a v2 app's script at this moment, to ask it for its functions next."""
    module = sys.modules.get(Path(sdk_seam.script_name()).stem)
    return module is not None and getattr(module.__spec__, "_initializing", True)


class Bridge:
    """Gives the functions of a stock runtime their hooks.

    :param registry: the extensions whose hooks run.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._tasks: set[asyncio.Task[None]] = set()
        self._gave_up = False

    def take(self, function: Function, take_context: TakeContext) -> Callable[..., Any]:
        """Take up a function: its load hooks run, and what is returned is to be called in its place.

        :param take_context: finds the context of an invocation.
        :raises UnknownShape: if the runtime does not load functions on an event loop.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise UnknownShape("it does not load functions on its event loop") from None
        run_load_hooks(function, self._registry, lambda rest: self._start(loop, rest))
        return Crossing(function, self._registry, loop, take_context, self.give_up).entrance()

    def give_up(self, change: UnknownShape) -> None:
        """Say, once, that hooks do not run."""
        if not self._gave_up:
            self._gave_up = True
            _logger.warning(
                "hooks of extensions are inactive: this worker's runtime is not as worker-ext knows it (%s). "
                "A newer version of worker-ext may know it:  pip install --upgrade worker-ext",
                change,
            )

    def _start(self, loop: asyncio.AbstractEventLoop, rest: Coroutine[Any, Any, None]) -> None:
        task = loop.create_task(rest)
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)
