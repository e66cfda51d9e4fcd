"""The hooks that belong to a worker process and not to an invocation: its start, its end, its health."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from typing import Any, NamedTuple

from .drivers import settled
from .hook import Hook
from .registry import Registry

SHUTDOWN_LIMIT = 2.0
"""Seconds that the ``on_shutdown`` hooks of all extensions have."""

READY_LIMIT = 2.0
"""Seconds after which an extension whose ``ready`` has not answered counts as not ready."""


class NotReady(NamedTuple):
    """An extension that cannot do its work now.

    :ivar extension: its name.
    :ivar reason: what it waits for, or why it could not say.
    """

    extension: str
    reason: str


class Readiness(NamedTuple):
    """Whether a worker can do its work, as far as its extensions know.

    :ivar ok: whether all of them say so.
    :ivar reasons: those that do not.
    """

    ok: bool
    reasons: list[NotReady]


class Lifecycle:
    """Runs the hooks of a worker process; each ``on_startup`` and ``on_shutdown`` once.

    :param registry: the extensions.
    :ivar running: whether the process has started and not been told to end.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._started: list[Callable[..., Any]] = []
        self._asked: dict[Callable[..., Any], asyncio.Task[str]] = {}  # ``ready`` hooks that have not answered yet
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
        """Ask every extension, all at once, whether it can do its work; an error is a no, and so is no answer in time.

        Hooks that are not async run on threads, so that the loop goes on. One that still runs is not called again: who
        asks meanwhile waits for the same answer.
        """
        hooks = self._registry.own_hooks("ready")
        answers = await asyncio.gather(*map(self._ask, hooks))
        reasons = [NotReady(refusal.extension, refusal.reason) for refusal in self._registry.refusals()]
        reasons += [NotReady(hook.extension, why) for hook, why in zip(hooks, answers, strict=True) if why]
        return Readiness(not reasons, reasons)

    async def _ask(self, hook: Hook) -> str:
        """Why an extension is not ready; empty if it is."""
        asked = self._asked.get(hook.call)
        if asked is None:
            asked = self._asked[hook.call] = asyncio.ensure_future(_why_not_ready(hook))
            asked.add_done_callback(lambda _: self._asked.pop(hook.call))
        answered, _ = await asyncio.wait([asked], timeout=READY_LIMIT)
        return asked.result() if answered else f"its ready() has not answered within {READY_LIMIT:g} s"

    def _check(self) -> None:
        for refusal in self._registry.refusals():
            raise refusal.error()


async def _why_not_ready(hook: Hook) -> str:
    answer: Any = hook.call() if hook.is_async else _on_thread(hook.call)
    while inspect.isawaitable(answer):  # what the thread returns may be awaitable as well
        answer, error = await settled(answer)
        if error is not None:
            answer = repr(error)
    return "" if answer is True else str(answer or "not ready")


def _on_thread(call: Callable[[], Any]) -> Awaitable[Any]:
    """Run ``call`` on a thread of its own, which does not keep the process from ending."""
    called: Future[Any] = Future()

    def run() -> None:
        try:
            called.set_result(call())
        except BaseException as error:
            called.set_exception(error)

    threading.Thread(target=run, name="ready", daemon=True).start()
    return asyncio.wrap_future(called)


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
