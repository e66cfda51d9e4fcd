"""amqtt's broker for the hub, where QoS 1 is the highest, without three mistakes that its users would meet.

- It loses a message, or a client, when somebody subscribes or leaves while it goes through the subscriptions.
- It sends a client that connects what is retained for anybody's subscriptions, also what it may not read.
- It marks what it has kept for an absent client as retained.
"""

from __future__ import annotations

from collections import UserDict
from collections.abc import ItemsView, Iterator
from typing import Any

from amqtt.broker import Broker
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler
from amqtt.session import Session


class HubBroker(Broker):  # type: ignore[misc]  # amqtt tells no types
    """A broker for the hub; written for amqtt 0.12, whose inner methods it replaces.

    :param config: its configuration, as amqtt has it.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config)
        self._subscriptions = _Subscriptions()
        self._beginning: set[str | None] = set()  # clients that have been accepted, and not been listened to yet

    async def add_subscription(self, subscription: tuple[str, int], session: Session) -> int:
        """Subscribe a client, with QoS 1 at most, and return the code of SUBACK."""
        topic, qos = subscription
        code: int = await super().add_subscription((topic, min(qos, 1)), session)
        return code

    async def _publish_session_retained_messages(self, session: Session) -> None:
        """Send what has been kept for a client, and nothing else before it asks for it."""
        self._beginning.add(session.client_id)
        handler = self._get_handler(session)
        while handler is not None and not session.retained_messages.empty():
            kept = await session.retained_messages.get()
            await handler.mqtt_publish(kept.topic, kept.data, kept.qos, retain=False)

    async def _publish_retained_messages_for_subscription(
        self, subscription: tuple[str, int], session: Session
    ) -> None:
        """Send what is retained for a subscription, if it is one that the client has just made."""
        if session.client_id not in self._beginning:
            await super()._publish_retained_messages_for_subscription(subscription, session)

    async def _client_message_loop(self, client_session: Session, handler: BrokerProtocolHandler) -> None:
        self._beginning.discard(client_session.client_id)
        await super()._client_message_loop(client_session, handler)


class _Subscriptions(UserDict[str, list[tuple[Session, int]]]):
    """Who has subscribed to what; who goes through it goes through what it was when they began."""

    def __iter__(self) -> Iterator[str]:
        return iter(list(self.data))

    def items(self) -> ItemsView[str, list[tuple[Session, int]]]:
        return {topic: list(sessions) for topic, sessions in self.data.items()}.items()
