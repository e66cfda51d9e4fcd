"""The order of hooks and function, and what an error at each step does. Written here and nowhere else::

    1. application-level pre hooks     a hook that raises is logged; everything else goes on
    2. function-level pre hooks        the same
    3. the function                    what it raises is the invocation's error; steps 4 and 5 are skipped
    4. function-level post hooks       as 1
    5. application-level post hooks    as 1

One generator says this for sync and async functions alike. It yields whatever must be awaited; two short drivers
do the waiting: :func:`run` on a pool thread, :func:`run_async` on the event loop. A step that needs no waiting
costs no trip through a driver.

What ends an invocation travels as a value, the :class:`Outcome`: an exception that passed through the generator would
be changed on its way (``StopIteration``) or be mistaken for the generator's own end (``GeneratorExit``).
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from typing import Any

from ..function import Function
from ..invocation import Invocation, Outcome
from .registry import Hook, HookSet, Registry

_logger = logging.getLogger("worker_ext")

Steps = Generator[Awaitable[Any], Any, Outcome]


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
    for hook in hooks.before:
        try:
            answer = hook.call(hook.logger, context, arguments)
            if answer is not None and inspect.isawaitable(answer):
                yield answer
        except BaseException as error:
            _log_failure(hook, error, function)
    try:
        result = function.call(**_accepted(function, arguments))
        if function.is_async:
            result = yield result
    except BaseException as error:
        return Outcome(None, error)
    for hook in hooks.after:
        try:
            answer = hook.call(hook.logger, context, arguments, result)
            if answer is not None and inspect.isawaitable(answer):
                yield answer
        except BaseException as error:
            _log_failure(hook, error, function)
    return Outcome(result, None)


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
            value, raised = wait(awaited)
            awaited = steps.send(value) if raised is None else steps.throw(raised)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
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
            value, raised = await settled(awaited)
            awaited = steps.send(value) if raised is None else steps.throw(raised)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome
    except BaseException as error:  # the task was cancelled while a hook ran
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
            _log(hook, error)


async def _finish(hook: Hook, awaited: Awaitable[Any]) -> None:
    _, error = await settled(awaited)
    if error is not None:
        _log(hook, error)


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


def _log_failure(hook: Hook, error: BaseException, function: Function) -> None:
    """Log what a hook raised, unless it is how the invocation itself is being ended: then raise it again."""
    if function.is_async and isinstance(error, asyncio.CancelledError | GeneratorExit):
        task = _current_task()
        if task is None or task.cancelling():  # closed by the garbage collector, or cancelled
            raise error
    _log(hook, error)


def _log(hook: Hook, error: BaseException) -> None:
    hook.logger.error("%s failed: %r", hook.name, error, exc_info=error)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # the loop is not running
        return None
