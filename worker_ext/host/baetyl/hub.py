"""The embedded hub: a broker in pure Python, for a first try.

It is amqtt's, which forgets what was not acknowledged when a client connects again. Where a message must survive, the
hub is a broker of its own, such as mosquitto (``--hub``).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from ...errors import ConfigurationError
from .hub_users import plugins
from .settings import HubSettings

FIRST_TRY = "it is for a first try, as it can lose messages: use a broker such as mosquitto for more (--hub)"

_EVERYWHERE = ("0.0.0.0", "::")
_LOOPBACK = "127.0.0.1"


class EmbeddedHub:
    """A hub in this process.

    :param hub: its settings.
    :param public: whether it listens where they say, and not on loopback alone.
    :ivar addresses: (host, port) that it listens on.
    """

    def __init__(self, hub: HubSettings, *, public: bool) -> None:
        from amqtt.broker import Broker

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self.addresses: Sequence[tuple[str, int]] = [
            (host if public else _LOOPBACK, port) for host, port in dict.fromkeys(hub.listen)
        ]
        listeners = {
            "default" if not at else f"listener-{at}": {"type": "tcp", "bind": f"{host}:{port}"}
            for at, (host, port) in enumerate(self.addresses)
        }
        self._broker = Broker({"listeners": listeners, "plugins": plugins(hub)})

    @property
    def port(self) -> int:
        """A port on which it can be reached from this machine."""
        return next((port for host, port in self.addresses if host in (_LOOPBACK, *_EVERYWHERE)), self.addresses[0][1])

    async def start(self) -> None:
        """Listen.

        :raises ConfigurationError: if that is not possible.
        """
        try:
            await self._broker.start()
        except Exception as error:  # amqtt wraps what the system says, more than once
            listed = ", ".join(f"{host}:{port}" for host, port in self.addresses)
            raise ConfigurationError(
                f"the embedded hub cannot listen on {listed}: {_innermost(error)}",
                hint="Is a broker running there already? Then use it:  func host start --hub tcp://localhost:1883",
            ) from None

    async def close(self) -> None:
        """Stop."""
        await self._broker.shutdown()


def _innermost(error: BaseException) -> str:
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(getattr(error, "strerror", None) or error)
