"""What a system that functions are written for must say about itself, so that the local host can run its apps."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from ..errors import IndexingError
from ..function import Function
from ..invocation import Invocation
from .arrival import Arrival


@dataclass(frozen=True)
class LoadedFunction:
    """A function that a runtime has loaded.

    :param function: the function as the worker runs it.
    :param description: what the host must know of it, as JSON can carry it.
    """

    function: Function
    description: dict[str, Any]


@dataclass
class LoadedApp:
    """What a runtime found in an app's folder.

    :param functions: the functions that can be run.
    :param problems: why others cannot.
    """

    functions: list[LoadedFunction] = field(default_factory=list)
    problems: list[IndexingError] = field(default_factory=list)


class Answer(NamedTuple):
    """What a successful invocation sends back.

    :ivar status: the HTTP status, 0 where there is none.
    :ivar outputs: name, kind and data of each output in turn.
    :ivar parts: the rest, as the trigger has it; for HTTP the body, then name and value of each header.
    """

    status: int
    outputs: list[bytes]
    parts: list[bytes]


class Runtime(ABC):
    """One system's part of a worker process: it loads apps, and turns bytes into invocations and back.

    :cvar one_at_a_time: whether its host gives a worker one call at a time.
    """

    one_at_a_time: ClassVar[bool] = False

    @abstractmethod
    def load(self, script_root: Path) -> LoadedApp:
        """Load the app in ``script_root``, whose modules can be imported already.

        :raises IndexingError: if no function of it can be run.
        :raises ConfigurationError: if a setting that says what the app is made of is wrong.
        """

    @abstractmethod
    def decode(self, name: str, invocation_id: str, payload: Sequence[bytes]) -> Invocation:
        """Make an invocation of what the host sent.

        :param name: the function's name.
        :param payload: what the trigger gives, as the host's side of this runtime encodes it.
        :raises Exception: whatever the conversion of the user's input raises; it fails this invocation.
        """

    async def open(self) -> dict[str, Any]:
        """Begin to take what reaches the worker beside the host's messages, once the app has been loaded.

        :returns: what the host must know of it, as JSON can carry it; added to the app's description.
        :raises OSError: if that cannot be done.
        """
        return {}

    async def drain(self) -> None:
        """Wait until all that leaves the worker beside its messages to the host has left."""
        return None

    def arrival(self, invocation: Invocation) -> Arrival | None:
        """What an invocation has to wait for before it can run; nothing unless :meth:`open` has opened a way for it."""
        return None

    @abstractmethod
    def encode(self, invocation: Invocation, value: Any) -> Answer:
        """Make what is sent back of what the function returned and put into its outputs.

        :raises Exception: if the value cannot be sent; it fails this invocation.
        """
