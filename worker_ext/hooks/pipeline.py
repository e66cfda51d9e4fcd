"""The order of hooks and function, and what an error at each step does. Written here and nowhere else::

    1. application-level pre hooks     a hook that raises is logged; everything else goes on
    2. function-level pre hooks        the same
    3. the function                    what it raises is the invocation's error; steps 4 and 5 are skipped
    4. function-level post hooks       as 1
    5. application-level post hooks    as 1

One generator says this for sync and async functions alike. It yields whatever must be awaited; two short drivers
do the waiting: :func:`run` on a pool thread, :func:`run_async` on the event loop. A step that needs no waiting
costs no trip through a driver.

How a step ended travels as a value, its :class:`~worker_ext.invocation.Outcome`, never as an exception that passes
through the generator: it would be changed on its way (``StopIteration``), be mistaken for the generator's own end
(``GeneratorExit``), or become the context of what the next step raises.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable
from typing import Any, cast

from ..function import Function
from ..invocation import Invocation, Outcome
from .registry import Hook, HookSet, Registry

_logger = logging.getLogger("worker_ext")

Steps = Generator[Awaitable[Any], Outcome, Outcome]
"""Yields what must be awaited, is sent how that ended, and returns how the invocation ended."""


class Pipeline:
    """The hooks of one function, compiled against one state of the registry.

    :param function: whose invocations it runs.
    :param registry: where its hooks come from; asked again whenever it has changed.
    """

    __slots__ = ("_compiled", "_function", "_registry")

    def __init__(self, function: Function, registry: Registry) -> None:
        self._function = function
        self._registry = registry
        self._compiled = self._compile()

    def steps(self, invocation: Invocation) -> Steps | None:
        """The invocation's steps, or ``None`` if it has no hooks: then it is just a call of the function."""
        version, hooks = self._compiled
        if version != self._registry.version:
            self._compiled = version, hooks = self._compile()
        return None if hooks is None else _steps(invocation, hooks)

    def _compile(self) -> tuple[int, HookSet | None]:
        # One pair, replaced as a whole: several pool threads may be here at once. The version is read first, so that
        # an extension that registers meanwhile makes the pair outdated.
        version = self._registry.version
        hooks = self._registry.hooks_for(self._function)
        return version, hooks if any(hooks) else None


def _steps(invocation: Invocation, hooks: HookSet) -> Steps:
    function, arguments, context = invocation.function, invocation.arguments, invocation.context
    cancelled = yield from _call_all(hooks.before, context, arguments)
    if cancelled is not None:
        return cancelled
    try:
        result = function.call(**_accepted(function, arguments))
    except BaseException as error:
        return Outcome(None, error)
    if function.is_async:
        result, raised = yield result
        if raised is not None:
            return Outcome(None, raised)
    cancelled = yield from _call_all(hooks.after, context, arguments, result)
    return cancelled or Outcome(result, None)


def _call_all(hooks: Iterable[Hook], *arguments: Any) -> Generator[Awaitable[Any], Outcome, Outcome | None]:
    """Call hooks, each whatever the others raise; returns the outcome if the invocation is cancelled meanwhile."""
    for hook in hooks:
        answer = None
        try:
            answer = hook.call(hook.logger, *arguments)
        except BaseException as error:
            _log_failure(hook, error)
        if answer is not None and inspect.isawaitable(answer):
            outcome = yield answer
            if outcome.error is not None:
                if isinstance(outcome.error, asyncio.CancelledError) and _being_cancelled():
                    return outcome
                _log_failure(hook, outcome.error)
    return None


async def settled(awaited: Awaitable[Any]) -> Outcome:
    """Wait for ``awaited`` and tell how it ended, whatever it raised."""
    try:
        return Outcome(await awaited, None)
    except BaseException as error:
        return Outcome(None, error)


def run(invocation: Invocation, pipeline: Pipeline, wait: Callable[[Awaitable[Any]], Outcome]) -> Outcome:
    """Run an invocation of a sync function on this thread, with all its hooks, and tell how it ended.

    :param wait: has the event loop wait for what a hook returned (:func:`settled`), and tells how that ended.
    """
    try:
        steps = pipeline.steps(invocation)
        if steps is None:
            return Outcome(invocation.function.call(**invocation.arguments), None)
    except BaseException as error:
        return Outcome(None, error)
    try:
        awaited = next(steps)
        while True:
            awaited = steps.send(wait(awaited))
    except StopIteration as end:
        return cast(Outcome, end.value)  # by no name: an error must not be held by a frame of its own traceback
    except BaseException as error:  # a filter of the app's that refuses to have a hook's failure logged
        return Outcome(None, error)


async def run_async(invocation: Invocation, pipeline: Pipeline) -> Outcome:
    """Run an invocation of an async function in this task, with all its hooks, and tell how it ended."""
    try:
        steps = pipeline.steps(invocation)
        if steps is None:
            return Outcome(await invocation.function.call(**invocation.arguments), None)
    except BaseException as error:
        return Outcome(None, error)
    try:
        awaited = next(steps)
        while True:
            awaited = steps.send(await settled(awaited))
    except StopIteration as end:
        return cast(Outcome, end.value)  # by no name: an error must not be held by a frame of its own traceback
    except BaseException as error:  # a filter of the app's that refuses to have a hook's failure logged
        return Outcome(None, error)


def run_load_hooks(
    function: Function, registry: Registry, finish: Callable[[Coroutine[Any, Any, None]], object]
) -> None:
    """Tell every extension that wants to know that ``function`` has been loaded. Their errors are logged.

    :param finish: is given what remains of an ``async def`` hook, to run it on the event loop.
    """
    for hook in registry.load_hooks_for(function):
        try:
            answer = hook.call(function.name, function.directory)
            if inspect.isawaitable(answer):
                finish(_finish(hook, answer))
        except BaseException as error:
            _log_failure(hook, error)


async def _finish(hook: Hook, awaited: Awaitable[Any]) -> None:
    _, error = await settled(awaited)
    if error is not None:
        _log_failure(hook, error)


def _accepted(function: Function, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those that a hook added and the function does not declare."""
    if arguments.keys() <= function.parameters:
        return arguments
    _logger.warning(
        "%s is called without %s: a hook added it to the arguments, but the function does not declare it",
        function.name,
        ", ".join(sorted(repr(name) for name in arguments.keys() - function.parameters)),
    )
    return {name: value for name, value in arguments.items() if name in function.parameters}


def _log_failure(hook: Hook, error: BaseException) -> None:
    hook.logger.error("%s failed: %r", hook.name, error, exc_info=error)


def _being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # on a pool thread, where nothing is ever cancelled
        return False
    return task is not None and task.cancelling() > 0
