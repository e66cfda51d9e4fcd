"""The order of hooks and function, and what an error at each step does. Written here and nowhere else::

    1. application-level pre hooks     a hook that raises is logged; everything else goes on
    2. function-level pre hooks        the same
    3. around hooks, application-level ones outside of function-level ones, and in their midst the function
                                       what comes out of the outermost is the invocation's result, or its error
    on success:
    4. function-level post hooks       as 1
    5. application-level post hooks    as 1
    on failure:
    4. function-level error hooks      as 1
    5. application-level error hooks   as 1

One generator says this for sync and async functions alike. It yields whatever must be awaited; the two drivers of
:mod:`worker_ext.hooks.drivers` do the waiting.

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
from .around import Call, surrounded
from .drivers import Ended, Steps, finish_on_loop, finish_on_thread, settled
from .hook import Hook
from .registry import HookSet, Registry
from .timeline import recorded

_logger = logging.getLogger("worker_ext")


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
        if hooks is None:
            if invocation.timeline is None:
                return None
            hooks = HookSet()
        if invocation.timeline is not None:
            return recorded(invocation, hooks, _steps, _call)
        return _steps(invocation, hooks, _call)

    def _compile(self) -> tuple[int, HookSet | None]:
        # One pair, replaced as a whole: several pool threads may be here at once. The version is read first, so that
        # an extension that registers meanwhile makes the pair outdated.
        version = self._registry.version
        hooks = self._registry.hooks_for(self._function)
        return version, hooks if any(hooks) else None


def _steps(invocation: Invocation, hooks: HookSet, call: Call) -> Steps:
    function, arguments, context = invocation.function, invocation.arguments, invocation.context
    cancelled = (yield from _call_all(hooks.before, invocation, context, arguments)) if hooks.before else None
    if cancelled is not None:
        result, error = cancelled
    elif hooks.around:
        result, error = yield from surrounded(invocation, hooks.around, call)
    else:
        result, error = call(function, arguments)
        if function.is_async and error is None:
            result, error = yield result
    if error is not None:
        yield from _call_all(hooks.failed, invocation, context, arguments, error)
        try:
            return Outcome(None, error)
        finally:
            del error, cancelled  # an error must not be held by a frame that called what is in its traceback
    if hooks.after:
        cancelled = yield from _call_all(hooks.after, invocation, context, arguments, result)
    return Outcome(result, None) if cancelled is None else Outcome(*cancelled)


def _call(function: Function, arguments: dict[str, Any]) -> Ended:
    """Call the function; gives its result and its error. If it is async, the result is still to be awaited."""
    try:
        if not arguments.keys() <= function.parameters:
            arguments = _declared(function, arguments)
        return function.call(**arguments), None
    except BaseException as error:
        return None, error


def _call_all(
    hooks: Iterable[Hook], invocation: Invocation, *arguments: Any
) -> Generator[Awaitable[Any], Ended, Ended | None]:
    """Call hooks, each whatever the others raise; returns how it ended if it is cancelled meanwhile."""
    for hook in hooks:
        invocation.at = hook
        answer = None
        try:
            answer = hook.call(hook.logger, *arguments)
        except BaseException as error:
            _log_failure(hook, error)
        if answer is not None and inspect.isawaitable(answer):
            outcome = yield answer
            if outcome[1] is not None:
                if isinstance(outcome[1], asyncio.CancelledError) and _being_cancelled():
                    return outcome
                _log_failure(hook, outcome[1])
    invocation.at = None
    return None


def run(invocation: Invocation, pipeline: Pipeline, loop: asyncio.AbstractEventLoop) -> Outcome:
    """Run an invocation of a sync function on this thread, with all its hooks, and tell how it ended.

    :param loop: the event loop, running on another thread, where hooks that are async run.
    """
    try:
        steps = pipeline.steps(invocation)
        if steps is None:
            return Outcome(invocation.function.call(**invocation.arguments), None)
    except BaseException as error:
        return Outcome(None, error)
    return cast(Outcome, finish_on_thread(steps, loop))


def run_async(invocation: Invocation, pipeline: Pipeline) -> Coroutine[Any, Any, Outcome]:
    """Run an invocation of an async function in the task that awaits this, with all its hooks; tells how it ended."""
    try:
        steps = pipeline.steps(invocation)
    except BaseException as error:
        return _told(Outcome(None, error))
    return _call_async(invocation) if steps is None else cast(Coroutine[Any, Any, Outcome], finish_on_loop(steps))


async def _call_async(invocation: Invocation) -> Outcome:
    try:
        return Outcome(await invocation.function.call(**invocation.arguments), None)
    except BaseException as error:
        return Outcome(None, error)


async def _told(outcome: Outcome) -> Outcome:
    return outcome


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


def _declared(function: Function, arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments without those that a hook added and the function does not declare."""
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
