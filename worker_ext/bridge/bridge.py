"""The bridge itself: it gives the functions of a stock runtime their hooks, or refuses to have them served without."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import sys
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, NoReturn

from ..errors import WorkerExtError
from ..function import Function
from ..hooks.hook import CLASSIC
from ..hooks.lifecycle import SHUTDOWN_LIMIT, Lifecycle
from ..hooks.pipeline import Pipeline, run_load_hooks
from ..hooks.registry import Registry
from ..hooks.required import Abilities
from . import log_lines
from .crossing import Crossing, TakeContext
from .shape import Inactive, UnknownShape

_logger = logging.getLogger("worker_ext")


def end_process(error: WorkerExtError) -> NoReturn:
    """End this process with a message, because nobody else would be told of the error and nothing must be served."""
    _logger.critical("%s", error)
    print(error, file=sys.__stderr__, flush=True)
    os._exit(1)


class Bridge:
    """Gives the functions of a stock runtime their hooks.

    :param enabled: whether extensions are on. If not, functions are left alone, or refused to be served.
    :param beside_classic: whether the runtime runs the classic hooks itself, so that only the others are left.
    :ivar enabled: whether functions are to be given hooks.
    """

    def __init__(self, *, enabled: bool, beside_classic: bool) -> None:
        self.enabled = enabled
        self._starting: Future[None] | None = None
        abilities = Abilities(awaits=not beside_classic)
        elsewhere = CLASSIC if beside_classic else frozenset()
        self._registry = Registry(enabled=enabled, abilities=abilities, elsewhere=elsewhere)
        self._lifecycle = Lifecycle(self._registry)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._leaves_alone = False
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
        if self._loop is None:
            atexit.register(self._shut_down)
        self._loop = loop
        run_load_hooks(function, self._registry, self._begin)
        self.adapt()
        pipeline = Pipeline(function, self._registry)
        return Crossing(function, pipeline, loop, take_context, self._starts, self._find_no_context).entrance()

    def check(self) -> None:
        """See that no extension is required that cannot do its work here.

        :raises IndexingError: if one is.
        """
        for refusal in self._registry.refusals():
            raise refusal.error()

    def check_or_end(self) -> None:
        """The same where nobody is told of errors: the process ends with the message."""
        try:
            self.check()
        except WorkerExtError as error:
            end_process(error)

    def leave_alone(self) -> None:
        """Note that functions are called without hooks. From now on no extension may come that is required."""
        self._leaves_alone = True

    def give_up(self, reason: Inactive) -> None:
        """Say, once, that hooks do not run; from now on nothing is served that requires one."""
        if self._gave_up:
            return
        self._gave_up = True
        if self.enabled:
            _logger.warning("hooks of extensions are inactive: %s", reason)
        because, hint = reason.message, reason.hint or ""
        self._registry.limit(Abilities(frozenset(), awaits=False, because=because, hint=hint))
        self.leave_alone()

    def adapt(self) -> None:
        """Do what the extensions that there are now want. They have changed, or the functions have."""
        if self._leaves_alone:
            self.check_or_end()
        if self._loop is None or self._loop.is_closed() or not self.enabled:
            return
        if self._registry.own_hooks("on_log"):
            log_lines.review_by(self._registry)
        if self._registry.own_hooks("on_startup") and self._starting is None:
            self._starting = Future()
            self._loop.call_soon_threadsafe(self._begin, self._start_up(self._starting))

    def _starts(self) -> Future[None] | None:
        return self._starting

    def _find_no_context(self) -> None:
        self.give_up(UnknownShape("it calls functions without a context"))
        self.check()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself would forget it
        task.add_done_callback(self._tasks.discard)

    async def _start_up(self, starting: Future[None]) -> None:
        try:
            await self._lifecycle.startup()
        except WorkerExtError as error:  # from now on every invocation is answered with it
            _logger.error("%s", error)
        finally:
            self._starting = None
            starting.set_result(None)

    def _shut_down(self) -> None:
        """Run the ``on_shutdown`` hooks; when the process ends, its event loop has ended before."""
        if self._registry.own_hooks("on_shutdown"):
            asyncio.run(self._lifecycle.shutdown(SHUTDOWN_LIMIT))
