"""What drives the steps of an invocation: on the event loop, or on a pool thread with the loop's help.

Steps are a generator that yields whatever must be awaited and is sent how that ended. What needs no waiting costs no
trip through a driver.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Generator
from queue import SimpleQueue
from typing import Any, TypeVar, cast

from ..invocation import Outcome

Ended = tuple[Any, BaseException | None]
"""How something ended: its result and its error. An :class:`Outcome` is one, but takes longer to make."""

E = TypeVar("E", bound=Ended)
Steps = Generator[Awaitable[Any], Ended, E]
"""Yields what must be awaited, is sent how that ended, and returns how all of it ended."""

CallNext = Callable[[], Awaitable[Any]]
"""Runs the steps inside a coroutine; returns and raises as they do."""

_MISSING = object()


async def settled(awaited: Awaitable[Any]) -> Ended:
    """Wait for ``awaited`` and tell how it ended, whatever it raised."""
    try:
        return await awaited, None
    except BaseException as error:
        return None, error


async def finish_on_loop(steps: Steps[E]) -> E:
    """Run all steps in this task."""
    try:
        awaited = next(steps)
        while True:
            awaited = steps.send(await settled(awaited))
    except StopIteration as end:
        return cast(E, end.value)  # by no name: an error must not be held by a frame of its own traceback
    except BaseException as error:  # a filter of the app's that refuses to have a hook's failure logged
        return cast(E, Outcome(None, error))


def finish_on_thread(steps: Steps[E], loop: asyncio.AbstractEventLoop) -> E:
    """Run all steps on this thread, and on ``loop`` what must be awaited."""
    try:
        awaited = next(steps)
        while True:
            awaited = steps.send(_wait(awaited, loop))
    except StopIteration as end:
        return cast(E, end.value)
    except BaseException as error:
        return cast(E, Outcome(None, error))


class Enclosing:
    """A coroutine with steps inside it, which run whenever it awaits what it has been given for that.

    :param coroutine: makes the coroutine.
    :param begin: begins the steps.
    :ivar inside: what the steps have returned; ``None`` as long as they have not.
    :ivar finish: runs the steps inside; in the same task, unless a driver has them run elsewhere.
    """

    __slots__ = ("_begin", "_coroutine", "_ended", "finish", "inside")

    def __init__(self, coroutine: Callable[[CallNext], Awaitable[Any]], begin: Callable[[], Steps[Ended]]) -> None:
        self._coroutine = coroutine
        self._begin = begin
        self._ended = False
        self.inside: Any = None
        self.finish: Callable[[Steps[Ended]], Awaitable[Ended]] = finish_on_loop

    def __await__(self) -> Generator[Any, Any, Any]:
        try:
            return (yield from self._coroutine(self._call_next).__await__())
        finally:
            self._ended = True

    async def _call_next(self) -> Any:
        if self._ended:
            raise RuntimeError("call_next was called when the hook that it was given to had ended")
        result, error = await self.finish(self._begin())
        if error is None:
            self.inside = result
            return result
        try:
            raise error
        finally:
            del error  # this frame is in its traceback


def _wait(awaited: Awaitable[Any], loop: asyncio.AbstractEventLoop) -> Ended:
    """Wait on this thread while the loop runs ``awaited``, and run here what that encloses.

    Context variables are carried over in both directions: a :class:`contextvars.Context` cannot be entered by a task
    and a thread at a time.
    """
    work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
    if isinstance(awaited, Enclosing):
        awaited.finish = lambda steps: _finish_there(steps, work, loop)
    ended = None
    try:
        ended = asyncio.run_coroutine_threadsafe(_settled_with_variables(awaited), loop)
        ended.add_done_callback(lambda _: work.put(None))
        while (task := work.get()) is not None:
            task()
        return _adopted(*ended.result())
    except BaseException as error:  # the app has cancelled all tasks of the loop, or closed it
        return None, error
    finally:
        del ended  # the frames below this one are in the traceback of an error that it has


async def _finish_there(
    steps: Steps[Ended], work: SimpleQueue[Callable[[], None] | None], loop: asyncio.AbstractEventLoop
) -> Ended:
    """Have the steps run on the thread that takes its work from ``work``."""
    done: asyncio.Future[None] = loop.create_future()
    before = contextvars.copy_context()
    found = []  # and taken out again: the frame of `finish` is in the traceback of an error that may be in there

    def finish() -> None:
        _adopt(before)
        found.append((finish_on_thread(steps, loop), contextvars.copy_context()))
        loop.call_soon_threadsafe(_tell, done)

    work.put(finish)
    await done
    return _adopted(*found.pop())


def _tell(future: asyncio.Future[None]) -> None:
    if not future.cancelled():
        future.set_result(None)


async def _settled_with_variables(awaited: Awaitable[Any]) -> tuple[Ended, contextvars.Context]:
    return await settled(awaited), contextvars.copy_context()


def _adopted(outcome: Ended, variables: contextvars.Context) -> Ended:
    _adopt(variables)
    return outcome


def _adopt(variables: contextvars.Context) -> None:
    """Give the context variables of the code that runs here the values that they have there."""
    for variable, value in variables.items():
        if variable.get(_MISSING) is not value:
            variable.set(value)
