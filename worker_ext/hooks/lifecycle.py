"""The hooks that belong to a worker process and not to an invocation: its start, its end, its health."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from .drivers import settled
from .hook import Hook
from .registry import Registry

SHUTDOWN_LIMIT = 2.0
"""Seconds that the ``on_shutdown`` hooks of all extensions have."""


class Readiness(NamedTuple):
    """Whether a worker can do its work, as far as its extensions know.

    :ivar ok: whether all of them say so.
    :ivar reasons: what those that do not are waiting for, each with the name of the extension.
    """

    ok: bool
    reasons: list[str]


class Lifecycle:
    """Runs the hooks of a worker process; each ``on_startup`` and ``on_shutdown`` once.

    :param registry: the extensions.
    :ivar running: whether the process has started and not been told to end.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._started: list[Callable[..., Any]] = []
        self._stopped = False
        self.running = False

    async def startup(self) -> None:
        """Run the ``on_startup`` of every extension, one after another. What one raises is logged.

        To be called again when extensions have registered late: it runs only theirs.

        :raises IndexingError: if a required extension cannot do its work here, or its ``on_startup`` fails.
        """
        self._check()
        for hook in self._registry.own_hooks("on_startup"):
            if hook.call in self._started:
                continue
            self._started.append(hook.call)
            error = await _run(hook)
            if error is not None and hook.required:
                reason = f"its {hook.name} failed: {error!r}"
                self._registry.refuse(hook.extension, reason, "Its traceback is in the log.")
        self._check()
        self.running = True

    async def shutdown(self, limit: float) -> None:
        """Run the ``on_shutdown`` of every extension, the last one first.

        :param limit: seconds that all of them have; who is waited for then is named in the log.
        """
        if self._stopped:
            return
        self._stopped, self.running = True, False
        hooks = reversed(self._registry.own_hooks("on_shutdown"))
        running: Hook | None = None

        async def run_all(hooks: Iterable[Hook]) -> None:
            nonlocal running
            for running in hooks:
                await _run(running)

        try:
            await asyncio.wait_for(run_all(hooks), limit)
        except TimeoutError:
            if running is not None:
                running.logger.error("%s took longer than %g s and is not waited for", running.name, limit)

    async def ready(self) -> Readiness:
        """Ask every extension whether it can do its work; an error is a no."""
        reasons = [f"{refusal.extension}: {refusal.reason}" for refusal in self._registry.refusals()]
        for hook in self._registry.own_hooks("ready"):
            try:
                answer = hook.call()
                if inspect.isawaitable(answer):
                    answer = await answer
            except Exception as error:
                answer = repr(error)
            if answer is not True:
                reasons.append(f"{hook.extension}: {answer or 'not ready'}")
        return Readiness(not reasons, reasons)

    def _check(self) -> None:
        for refusal in self._registry.refusals():
            raise refusal.error()


async def _run(hook: Hook) -> BaseException | None:
    """Call a hook and wait for it; what it raises is logged, and returned."""
    error: BaseException | None = None
    try:
        answer = hook.call()
        if inspect.isawaitable(answer):
            _, error = await settled(answer)
    except BaseException as raised:
        error = raised
    if error is not None:
        if isinstance(error, asyncio.CancelledError):
            raise error
        hook.logger.error("%s failed: %r", hook.name, error, exc_info=error)
    return error
