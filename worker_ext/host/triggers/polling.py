"""What triggers that must look again and again have in common: pauses, and storage that is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine
from random import uniform
from typing import Any, TypeVar

from ..console import Console

T = TypeVar("T")

SHORTEST = 0.1
"""Seconds of the first pause, after which pauses double."""

_HINT = "\n  Is the storage emulator running? Start it with:  azurite"


class Pause:
    """The pause between two looks: none while something is found, then longer and longer.

    :param longest: the longest, in seconds.
    """

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._next = SHORTEST

    async def after(self, found: bool, stopping: asyncio.Event) -> None:
        """Pause after a look, unless it has found something, until ``stopping`` at most."""
        if found:
            self._next = SHORTEST
            return
        await first_of(asyncio.sleep(self._next * uniform(0.8, 1.0)), stopping.wait())
        self._next = min(self._next * 2, self._longest)


class Trouble:
    """Tells once that a storage service cannot be reached, and once that it can again.

    :param console: where to.
    :param what: what is looked at, as the subject of a sentence.
    """

    def __init__(self, console: Console, what: str) -> None:
        self._console = console
        self._what = what
        self._told = ""

    async def survive(self, look: Awaitable[T]) -> T | None:
        """What ``look`` gives; ``None`` if the service cannot be reached or refuses."""
        from azure.core.exceptions import AzureError, ServiceRequestError

        try:
            found = await look
        except AzureError as error:
            text = str(error).partition("\n")[0]
            if text != self._told:
                hint = _HINT if isinstance(error, ServiceRequestError) else ""
                self._console.error(f"{self._what} cannot be read: {text}{hint}")
            self._told = text
            return None
        if self._told:
            self._told = ""
            self._console.info(f"{self._what} can be read again.")
        return found


async def first_of(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until the first of these has ended, and cancel the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
