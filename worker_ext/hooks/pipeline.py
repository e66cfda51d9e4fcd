"""The order of hooks and function, and what an error at each step does. Written here and nowhere else::

    1. application-level pre hooks     a hook that raises is logged; everything else goes on
    2. function-level pre hooks        the same
    3. the function                    what it raises is the invocation's error; steps 4 and 5 are skipped
    4. function-level post hooks       as 1
    5. application-level post hooks    as 1

One generator says this for sync and async functions alike. It yields whatever must be awaited; two short drivers
do the waiting: :func:`run` on a pool thread, :func:`run_async` on the event loop. A step that needs no waiting
costs no trip through a driver.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from ..function import Function
from ..invocation import Invocation
from .registry import NO_HOOKS, Hook, Registry

_logger = logging.getLogger("worker_ext")

Steps = Generator[Awaitable[Any], Any, Any]


class Pipeline:
    """The hooks of one function, compiled against one state of the registry.

    :param function: whose invocations it runs.
    :param registry: where its hooks come from; asked again whenever it has changed.
    """

    __slots__ = ("_function", "_hooks", "_registry", "_version")

    def __init__(self, function: Function, registry: Registry) -> None:
        self._function = function
        self._registry = registry
        self._version = -1
        self._hooks = NO_HOOKS

    def steps(self, invocation: Invocation) -> Steps | None:
        """The invocation's steps, or ``None`` if it has no hooks: then it is just a call of the function."""
        if self._version != self._registry.version:
            self._version = self._registry.version
            hooks = self._registry.hooks_for(self._function)
            self._hooks = hooks if any(hooks) else NO_HOOKS
        return self._steps(invocation) if self._hooks is not NO_HOOKS else None

    def _steps(self, invocation: Invocation) -> Steps:
        function, arguments, context = invocation.function, invocation.arguments, invocation.context
        before, after = self._hooks  # an extension that registers meanwhile applies from the next invocation on
        for hook in before:
            try:
                answer = hook.call(hook.logger, context, arguments)
                if answer is not None and inspect.isawaitable(answer):
                    yield answer
            except BaseException as error:
                _log_failure(hook, error)
        result = function.call(**_accepted(function, arguments))
        if function.is_async:
            result = yield result
        for hook in after:
            try:
                answer = hook.call(hook.logger, context, arguments, result)
                if answer is not None and inspect.isawaitable(answer):
                    yield answer
            except BaseException as error:
                _log_failure(hook, error)
        return result


def run(invocation: Invocation, pipeline: Pipeline, wait: Callable[[Awaitable[Any]], Any]) -> Any:
    """Run an invocation of a sync function on this thread, with all its hooks.

    :param wait: waits for an awaitable that a hook returned, and gives its result or raises its error.
    :returns: what the function returned.
    :raises BaseException: what the function raised.
    """
    steps = pipeline.steps(invocation)
    if steps is None:
        return invocation.function.call(**invocation.arguments)
    try:
        awaited = next(steps)
        while True:
            try:
                result = wait(awaited)
            except BaseException as error:
                awaited = steps.throw(error)
            else:
                awaited = steps.send(result)
    except StopIteration as stop:
        return stop.value


async def run_async(invocation: Invocation, pipeline: Pipeline) -> Any:
    """Run an invocation of an async function in this task, with all its hooks.

    :returns: what the function returned.
    :raises BaseException: what the function raised, or the task's cancellation.
    """
    steps = pipeline.steps(invocation)
    if steps is None:
        return await invocation.function.call(**invocation.arguments)
    try:
        awaited = next(steps)
        while True:
            try:
                result = await awaited
            except BaseException as error:
                awaited = steps.throw(error)
            else:
                awaited = steps.send(result)
    except StopIteration as stop:
        return stop.value


def run_load_hooks(function: Function, registry: Registry) -> None:
    """Tell every extension that wants to know that ``function`` has been loaded. Their errors are logged."""
    for hook in registry.load_hooks_for(function):
        try:
            hook.call(function.name, function.directory)
        except BaseException as error:
            _log_failure(hook, error)


def _accepted(function: Function, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those that a hook added and the function does not declare."""
    if arguments.keys() <= function.parameters:
        return arguments
    extra = sorted(arguments.keys() - function.parameters)
    _logger.warning(
        "a hook added %s to the arguments of %s, which does not declare it; it is not passed on",
        ", ".join(extra),
        function.name,
    )
    return {name: value for name, value in arguments.items() if name in function.parameters}


def _log_failure(hook: Hook, error: BaseException) -> None:
    """Log what a hook raised, unless it is how the invocation itself is being ended."""
    if isinstance(error, GeneratorExit) or (isinstance(error, asyncio.CancelledError) and _being_cancelled()):
        raise error
    hook.logger.error("%s failed: %r", hook.name, error, exc_info=error)


def _being_cancelled() -> bool:
    try:
        task = asyncio.current_task()
    except RuntimeError:  # on a pool thread, where nothing is ever cancelled
        return False
    return task is not None and task.cancelling() > 0
