"""Whose turn it is: the worlds of open clients are shown one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextvars import ContextVar

from ..errors import ConfigurationError
from .world import World

_has_a_turn: ContextVar[bool] = ContextVar("_has_a_turn", default=False)


class Stage:
    """Shows the worlds of open clients, one at a time.

    To open a client, to call it and to close it takes a turn: its world is shown until that has ended. Another world's
    turn waits for it, unless it is taken by the very code that is running (an app that calls another one): then the
    outer world is shown again afterwards.
    """

    def __init__(self) -> None:
        self._open: list[World] = []
        self._shown: World | None = None
        self._turns = 0
        self._loops: Counter[int] = Counter()  # the threads whose event loops must go on for turns to end
        self._changed = threading.Condition(threading.RLock())

    @contextlib.contextmanager
    def turn(self, world: World, *, opens: bool = False) -> Iterator[None]:
        """Wait until a world can be shown, and keep it there while the block runs.

        :param world: the world.
        :param opens: whether the block begins with it. It stays among the open ones unless the block raises.
        :raises ConfigurationError: if it would wait for something that cannot go on while it waits.
        """
        while (before := self._take(world, opens)) is None:
            if self._loops[threading.get_ident()]:
                raise ConfigurationError(
                    "a call of an AsyncFunctionAppClient is running on this event loop, and a FunctionAppClient would "
                    "wait for it forever",
                    hint="Await the call before, or use AsyncFunctionAppClient for both.",
                )
            self._wait()
        with self._taken(world, before, opens):
            yield

    @contextlib.asynccontextmanager
    async def async_turn(self, world: World, *, opens: bool = False) -> AsyncIterator[None]:
        """The same on an event loop, which goes on meanwhile."""
        while (before := self._take(world, opens)) is None:
            await asyncio.to_thread(self._wait)
        thread = threading.get_ident()
        self._loops[thread] += 1
        try:
            with self._taken(world, before, opens):
                yield
        finally:
            self._loops[thread] -= 1

    def remove(self, world: World) -> None:
        """End with a world. The one that was opened last of those that are left is shown."""
        with self._changed:
            if world in self._open:
                self._open.remove(world)
                if self._shown is world:
                    self._show(self._open[-1] if self._open else None)

    @contextlib.contextmanager
    def _taken(self, world: World, before: World, opens: bool) -> Iterator[None]:
        token = _has_a_turn.set(True)
        try:
            yield
        except BaseException:
            if opens:
                self.remove(world)
            raise
        finally:
            _has_a_turn.reset(token)
            with self._changed:
                self._turns -= 1
                if self._turns and before in self._open:
                    self._show(before)
                self._changed.notify_all()

    def _take(self, world: World, opens: bool) -> World | None:
        """Show a world.

        :returns: the world to be shown afterwards; ``None`` if another one is in use.
        """
        with self._changed:
            before = self._shown
            is_within_a_turn = _has_a_turn.get()
            if before is not world and self._turns and not is_within_a_turn:
                return None
            if opens:
                self._open.append(world)
            try:
                self._show(world)
            except BaseException:  # of a function that was to make an extension
                self.remove(world)
                raise
            self._turns += 1
            return before if before is not None and is_within_a_turn else world

    def _wait(self) -> None:
        """Wait until a turn has ended, or a moment."""
        with self._changed:
            self._changed.wait(0.05)

    def _show(self, world: World | None) -> None:
        if world is self._shown:
            return
        if self._shown is not None:
            self._shown.hide()
        self._shown = world
        if world is not None:
            world.show()


stage = Stage()
"""The one stage of this process."""
