"""The embedded hub's ``subscriptions``: messages of one topic that are published to another as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from amqtt.broker import BrokerContext
from amqtt.plugins.base import BasePlugin
from amqtt.session import IncomingApplicationMessage

from ...transports.mqtt_topics import matches
from .settings_hub import HubSubscription


def plugins(subscriptions: Sequence[HubSubscription]) -> dict[str, Any]:
    """The plugin that carries subscriptions out, as amqtt is configured; none if there are none."""
    if not subscriptions:
        return {}
    return {f"{__name__}.{Routes.__name__}": {"subscriptions": [asdict(one) for one in subscriptions]}}


def forwarded(subscriptions: Sequence[HubSubscription], topic: str, qos: int) -> Iterator[tuple[str, int]]:
    """Where a message goes besides its own topic, with which quality of service; what has been forwarded goes further.

    It ends, as the settings allow no circle.
    """
    for one in subscriptions:
        if matches(one.source, topic):
            lowest = min(qos, one.source_qos, one.target_qos)
            yield one.target, lowest
            yield from forwarded(subscriptions, one.target, lowest)


@dataclass
class RoutesConfig:
    """What the plugin is configured with; amqtt makes it of what :func:`plugins` gives."""

    subscriptions: list[dict[str, Any]] = field(default_factory=list)


class Routes(BasePlugin[BrokerContext]):  # type: ignore[misc]  # amqtt tells no types
    """Publishes what has come to sources to their targets."""

    Config = RoutesConfig

    def __init__(self, context: BrokerContext) -> None:
        super().__init__(context)
        self._subscriptions = [HubSubscription(**fields) for fields in self.config.subscriptions]

    async def on_broker_message_broadcast(self, *, client_id: str, message: IncomingApplicationMessage) -> None:
        """Forward a message that its publisher was permitted to publish (called by amqtt)."""
        for topic, qos in forwarded(self._subscriptions, message.topic, message.qos or 0):
            # Without a number, amqtt delivers with that of each subscription, which may not be exceeded.
            await self.context.broadcast_message(topic, bytes(message.data or b""), None if qos else 0)
