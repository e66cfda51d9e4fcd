"""What a trigger is to the host: it watches for something, and has its function run when that happens."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ...errors import InvocationError

if TYPE_CHECKING:
    from ..app_state import AppState
    from ..clock import Clock
    from ..console import Console
    from ..storage import Storage


@dataclass(frozen=True)
class TriggerEvent:
    """What has happened that starts a function.

    :ivar kind: the kind of the data: ``string``, ``bytes`` or ``json``.
    :ivar data: what the function's trigger parameter is made of.
    :ivar reason: why the function runs, for people.
    :ivar metadata: what the SDK's converter is told besides the data.
    :ivar names: what binding expressions can name.
    :ivar details: more for people, by name.
    """

    kind: str
    data: bytes
    reason: str
    metadata: Mapping[str, Any] = field(default_factory=dict)
    names: Mapping[str, Any] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TriggerServices:
    """What a trigger works with.

    :ivar run: runs its function, with its retry policy, and gives the error that it ended with, if it did.
    :ivar stopping: set when the trigger is to start nothing any more; a retry does not wait beyond that.
    :ivar console: where it tells what it does.
    :ivar clock: tells the time.
    :ivar state: what is kept between starts of the host.
    :ivar storage: the connections to storage accounts.
    """

    run: Callable[[TriggerEvent], Awaitable[InvocationError | None]]
    stopping: asyncio.Event
    console: Console
    clock: Clock
    state: AppState
    storage: Storage


class Trigger(Protocol):
    """Watches for what starts one function.

    :ivar exclusive: whether it must not watch while the trigger of an earlier edition still finishes what it began.
    """

    exclusive: bool

    async def watch(self, services: TriggerServices) -> None:
        """Have the function run whenever it happens, until ``services.stopping`` is set; then end what has begun.

        :raises ConfigurationError: if it cannot be watched for.
        """
