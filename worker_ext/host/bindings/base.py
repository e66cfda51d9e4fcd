"""What an input or output binding is to the host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from ...errors import InvocationError

if TYPE_CHECKING:
    from ..settings import HostJson
    from ..storage import Storage

BindingData: TypeAlias = Mapping[str, Any]
"""What binding expressions can name: what the trigger knows, and the properties of a JSON document that it gave."""


class BindingFailed(InvocationError):
    """An input could not be read, or an output could not be delivered."""


@dataclass(frozen=True)
class Scope:
    """What a binding may look up when it is made.

    :ivar function: the name of its function.
    :ivar environ: the app's settings.
    :ivar host: ``host.json``.
    """

    function: str
    environ: Mapping[str, str]
    host: HostJson | None = None

    def group(self, name: str) -> Any:
        """A group of ``extensions`` in host.json, an empty one if there is none.

        :raises ConfigurationError: if it is no group.
        """
        from ..settings_tree import Setting

        if self.host is None:
            return Setting(name, f"extensions.{name}", None, None, secret=False)
        return self.host.settings["extensions"][name]


class InputBinding(Protocol):
    """Something that a function is given besides what triggers it.

    :ivar name: the function's parameter.
    """

    name: str

    async def read(self, storage: Storage, data: BindingData) -> tuple[str, bytes]:
        """Kind (``string``, ``bytes``, ``json``; empty for nothing) and data of what the function is given.

        :raises BindingFailed: if it cannot be read.
        """


class OutputBinding(Protocol):
    """Something that a function writes.

    :ivar name: the function's parameter, or ``$return``.
    """

    name: str

    async def write(self, storage: Storage, data: BindingData, kind: str, value: bytes) -> None:
        """Deliver what the function has written.

        :param kind: ``string``, ``bytes`` or ``json``.
        :raises BindingFailed: if it cannot be delivered.
        """
