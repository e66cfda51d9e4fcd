"""A rule at work: messages of a topic go to a function, its replies to another topic.

A message is acknowledged when its reply has been, so that nothing is lost that the hub has taken: at-least-once from
end to end. Messages of one topic are worked on one after the other, unless the rule allows more at a time.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from functools import lru_cache, partial

from ...errors import InvocationError, ProtocolError
from ...runtimes.baetyl.message import Message
from ...transports.mqtt import MqttClient, Received
from ...transports.mqtt_broker import Broker
from ...transports.mqtt_codec import UNTRUSTED
from ...transports.mqtt_topics import matches, unshared
from ..call import FunctionFailed
from ..console import Console
from .pool import FunctionPool
from .settings_manager import Rule

RETRY_PAUSES = (0.1, 5.0)
"""Seconds between the attempts at a message: the first pause and the longest."""

MOST_HELD = 10_000
"""How many messages of a rule wait for their turn before no more are received for a while."""

_CREDENTIALS = "\n  Look at hub.username and hub.password in that file, and at what the broker knows."


class Delivery:
    """One message on its way through a rule.

    :ivar message: as it came; the last time, if it came again.
    :ivar attempt: the number of the attempt at it, from 1.
    :ivar done: whether all that is left is to acknowledge it.
    """

    __slots__ = ("attempt", "call", "done", "message")

    def __init__(self, message: Received) -> None:
        properties = dict(message.properties) if message.properties else {}
        self.message = message
        self.attempt = 1
        self.done = False
        self.call = Message(
            message.payload,
            message.topic,
            message.qos,
            int(time.time()),
            properties.get("traceparent", ""),
            properties.get("tracestate", ""),
        )


class _Lane:
    """The messages of one topic."""

    __slots__ = ("running", "waiting")

    def __init__(self) -> None:
        self.running = 0
        self.waiting: deque[Delivery] = deque()


class RuleRunner:
    """Carries out one rule.

    :param rule: the rule.
    :param broker: the hub.
    :param pool: runs its function.
    :param console: shows what goes wrong.
    """

    def __init__(self, rule: Rule, broker: Broker, pool: FunctionPool, console: Console) -> None:
        self._rule = rule
        self._broker = broker
        self._pool = pool
        self._console = console
        self._client = MqttClient(broker, rule.client_id, self, [(rule.topic, rule.qos)])
        self._lanes: dict[str, _Lane] = {}
        self._held = 0
        self._unacknowledged: dict[int, Delivery] = {}
        self._is_mine = lru_cache(maxsize=1024)(partial(matches, unshared(rule.topic)))
        self._trouble = ""
        self._closing = False
        self._publishing = 0  # replies that the hub has not acknowledged yet
        self._all_published = asyncio.Event()

    def start(self) -> None:
        """Connect to the hub and begin."""
        self._client.start()

    def stop_receiving(self) -> None:
        """Take no more messages; those with QoS 1 stay with the hub."""
        self._closing = True

    async def replied(self) -> None:
        """Wait until the hub has all replies."""
        while self._publishing:
            self._all_published.clear()
            await self._all_published.wait()

    async def close(self) -> None:
        """Disconnect from the hub."""
        await self._client.close()

    # What the client tells (MqttListener)

    def connected(self, *, session_present: bool) -> None:
        """Note that the hub is there; without a session it will deliver nothing again under the old numbers."""
        if not session_present:
            self._unacknowledged.clear()
        self._trouble = ""
        self._console.info(f"Connected to {self._broker} as {self._rule.client_id}, for {self._rule.topic}.")

    def disconnected(self, reason: str, pause: float) -> None:
        """Tell that the hub is gone; the same reason is told once."""
        if reason != self._trouble:
            self._trouble = reason
            rule = self._rule
            self._console.error(
                f"{rule.where}: {rule.client_id} is not connected to {self._broker}: {reason}; it tries again."
                f"{_CREDENTIALS if reason in UNTRUSTED else ''}"
            )

    def refused(self, topic: str, reason: str) -> None:
        """Tell that the rule cannot work."""
        self._console.error(
            f"{self._rule.where}: the hub does not let {self._rule.client_id} subscribe to {topic}: {reason}"
        )

    def received(self, message: Received) -> None:
        """Take a message."""
        if self._closing:
            return
        if not self._is_mine(message.topic):  # a subscription of an earlier edition of the rule
            self._client.acknowledge(message)
            return
        if message.qos and self._is_known(message):
            return
        delivery = Delivery(message)
        if message.qos:
            self._unacknowledged[message.mid] = delivery
        lane = self._lanes.get(message.topic)
        if lane is None:
            lane = self._lanes[message.topic] = _Lane()
        if lane.running < self._rule.concurrency:
            lane.running += 1
            self._call(delivery)
            return
        lane.waiting.append(delivery)
        self._held += 1
        if self._held >= MOST_HELD:
            self._client.pause()

    def _is_known(self, message: Received) -> bool:
        """Whether it is delivered again while it is still being worked on, after the connection has been lost."""
        delivery = self._unacknowledged.get(message.mid)
        if delivery is None or not message.duplicate or delivery.message.connection == message.connection:
            return False
        if delivery.message.topic != message.topic or delivery.message.payload != message.payload:
            return False
        delivery.message = message
        if delivery.done:
            self._acknowledge(delivery)
        return True

    # A message's way

    def _call(self, delivery: Delivery) -> None:
        size, limit = len(delivery.call.payload), self._pool.settings.server.message_length
        if size > limit:
            delivery.call = delivery.call._replace(payload=b"")  # nobody shall have to take it in an error message
            too_large = f"the message has {size} bytes, more than the {limit} that the service takes"
            self._console.error(
                f"{self._rule.where}: {delivery.message.topic}: {too_large} (server.message.length.max)"
            )
            asyncio.get_running_loop().call_soon(
                self._ended, delivery, self._told(delivery, InvocationError(too_large))
            )
            return
        reason = f"A message on {delivery.message.topic}."
        if delivery.attempt > 1:
            reason = f"{reason} Attempt {delivery.attempt} of {self._rule.attempts}."
        self._pool.call(delivery.call, reason, partial(self._answered, delivery))

    def _answered(self, delivery: Delivery, outcome: bytes | InvocationError) -> None:
        if not isinstance(outcome, InvocationError):
            self._ended(delivery, outcome)
        elif self._closing:
            pass  # the hub will deliver it again
        elif delivery.attempt < self._rule.attempts:
            first, longest = RETRY_PAUSES
            pause = min(first * 2 ** (delivery.attempt - 1), longest)
            delivery.attempt += 1
            asyncio.get_running_loop().call_later(pause, self._call, delivery)
        else:
            self._ended(delivery, self._told(delivery, outcome))

    def _told(self, delivery: Delivery, error: InvocationError) -> bytes:
        return error_message(error, delivery.call, self._pool.name)

    def _ended(self, delivery: Delivery, reply: bytes) -> None:
        self._next(delivery.message.topic)
        self._reply(delivery, reply)

    def _next(self, topic: str) -> None:
        """Begin with the next message of a topic, now that one has had its answer."""
        lane = self._lanes[topic]
        if lane.waiting:
            self._held -= 1
            if self._held == MOST_HELD // 2:
                self._client.resume()
            self._call(lane.waiting.popleft())
        else:
            lane.running -= 1
            if not lane.running:
                del self._lanes[topic]

    def _reply(self, delivery: Delivery, payload: bytes) -> None:
        rule, message = self._rule, delivery.message
        if rule.reply_topic is None or not payload:
            self._replied(delivery, "")
            return
        qos = min(message.qos, rule.reply_qos)
        trace = [pair for pair in message.properties if pair[0] in ("traceparent", "tracestate")]
        self._publishing += 1
        try:
            self._client.publish(rule.reply_topic, payload, qos, partial(self._published, delivery), trace)
        except ProtocolError as error:
            self._published(delivery, error.message)

    def _published(self, delivery: Delivery, problem: str) -> None:
        self._publishing -= 1
        if not self._publishing:
            self._all_published.set()
        self._replied(delivery, problem)

    def _replied(self, delivery: Delivery, problem: str) -> None:
        if problem:
            self._console.error(
                f"{self._rule.where}: the reply of {self._pool.name} to {self._rule.reply_topic} is lost: {problem}"
            )
        delivery.done = True
        if delivery.message.qos:
            self._acknowledge(delivery)

    def _acknowledge(self, delivery: Delivery) -> None:
        message = delivery.message
        if self._client.acknowledge(message) and self._unacknowledged.get(message.mid) is delivery:
            del self._unacknowledged[message.mid]


def error_message(error: InvocationError, message: Message, function: str) -> bytes:
    """What is published instead of a reply when all attempts at a message have failed."""
    fields = {
        "QOS": message.qos,
        "Topic": message.topic,
        "Payload": base64.b64encode(message.payload).decode(),
        "Timestamp": message.timestamp,
        "FunctionName": function,
    }
    kind = error.kind if isinstance(error, FunctionFailed) else type(error).__name__
    return json.dumps({"errorMessage": str(error), "errorType": kind, "functionMessage": fields}).encode()
