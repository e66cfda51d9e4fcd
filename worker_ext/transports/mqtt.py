"""An MQTT client on an asyncio loop: connected again and again, with messages that are acknowledged by hand.

paho-mqtt speaks the protocol; here it is driven by the loop's own readers and writers, so that no message crosses
threads. MQTT 5 is tried first, for its user properties and reasons; a broker that does not know it gets 3.1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from ..errors import ProtocolError
from .mqtt_broker import Broker

BACKOFF = (0.5, 60.0)
"""Seconds between attempts to connect: the first pause and the longest."""

KEEPALIVE = 60
"""Seconds without traffic after which the connection is checked."""

_NEVER = 0xFFFFFFFF  # the session's expiry
_RECEIVE_MAXIMUM = 100
_UNSUPPORTED = {1, 0x84}  # "unacceptable protocol version" of 3.1.1, "unsupported protocol version" of 5
_PATIENCE = 5.0  # seconds that a broker has to answer our CONNECT
_TICK = 1.0  # seconds between looks at the keep-alive

UserProperties = Sequence[tuple[str, str]]


class Received(NamedTuple):
    """A message.

    :ivar topic: where it was published.
    :ivar payload: what.
    :ivar qos: with which quality of service it was delivered.
    :ivar mid: its number, for the acknowledgement; 0 without one.
    :ivar duplicate: whether the broker says that it has been delivered before.
    :ivar properties: its user properties (MQTT 5).
    :ivar connection: the number of the connection that it came through.
    """

    topic: str
    payload: bytes
    qos: int
    mid: int
    duplicate: bool
    properties: UserProperties
    connection: int


class MqttListener(Protocol):
    """Who is told what happens on a client's connection; on the loop's thread."""

    def connected(self, *, session_present: bool) -> None:
        """The broker has accepted us. Without a session it knows nothing of what it sent before."""

    def disconnected(self, reason: str, pause: float) -> None:
        """The connection has ended or could not be made; the next attempt comes after ``pause`` seconds."""

    def refused(self, topic: str, reason: str) -> None:
        """The broker refuses the subscription."""

    def received(self, message: Received) -> None:
        """A message has come. With QoS 1 it must be acknowledged (:meth:`MqttClient.acknowledge`)."""


class MqttClient:
    """One client of a broker, with a session that survives its connections.

    :param broker: where to connect.
    :param client_id: the session's name.
    :param listener: told what happens.
    :param subscriptions: (topic filter, QoS) of what is subscribed to.
    :raises ConfigurationError: if a file for TLS cannot be used.
    """

    def __init__(
        self, broker: Broker, client_id: str, listener: MqttListener, subscriptions: Sequence[tuple[str, int]] = ()
    ) -> None:
        self._broker = broker
        self._client_id = client_id
        self._listener = listener
        self._subscriptions = subscriptions
        self._tls = broker.tls()
        self._loop = asyncio.get_running_loop()
        self._modern = broker.modern  # MQTT 5
        self._known = False  # whether the broker has accepted us once: then it speaks this version
        self._answered = False  # whether the broker has understood our CONNECT
        self._socket_opened = False
        self._subscribed = False
        self._client = self._make()
        self._pause = 0.0
        self._reason = ""
        self._socket: Any = None
        self._paused = False
        self._writing = False
        self._published: dict[int, Callable[[str], None]] = {}
        self._subscribing: dict[int, str] = {}
        self._largest: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()
        self.connection = 0
        self.is_connected = False

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until :meth:`close`."""
        self._task = self._loop.create_task(self._run())

    async def close(self) -> None:
        """Disconnect; the session stays."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._client.disconnect()
        self._forget_socket()
        self._client.loop_misc()

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        done: Callable[[str], None] | None = None,
        properties: UserProperties = (),
    ) -> None:
        """Publish a message. With QoS 1 it is kept, and sent again, until the broker acknowledges it.

        :param done: called with the empty text when the broker has it (QoS 1) or it has been written (QoS 0); with the
            reason if the broker refuses it.
        :raises ProtocolError: if it cannot be published: the topic is none, or the message is larger than the broker
            takes.
        """
        if self._largest is not None and len(payload) + len(topic) + 64 > self._largest:
            raise ProtocolError(f"{len(payload)} bytes are more than the {self._largest} that the broker takes")
        extra = None
        if properties and self._modern:
            extra = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            extra.UserProperty = list(properties)
        try:
            info = self._client.publish(topic, payload, qos, properties=extra)
        except ValueError as error:
            raise ProtocolError(f"a message cannot be published to {topic!r}: {error}") from None
        self._write_rest()
        if done is None:
            return
        if qos:
            self._published[info.mid] = done
        else:
            done("")

    def acknowledge(self, message: Received) -> bool:
        """Acknowledge a message, and tell whether that was possible: it is not when its connection has ended.

        Then the broker will deliver it again, if it had QoS 1.
        """
        if message.connection != self.connection or not self.is_connected:
            return False
        if message.qos:
            self._client.ack(message.mid, message.qos)
            self._write_rest()
        return True

    def pause(self) -> None:
        """Receive nothing for a while."""
        if not self._paused:
            self._paused = True
            if self._socket is not None and self.is_connected:
                self._loop.remove_reader(self._socket)

    def resume(self) -> None:
        """Receive again."""
        if self._paused:
            self._paused = False
            if self._socket is not None and self.is_connected:
                self._loop.add_reader(self._socket, self._readable)
                self._loop.call_soon(self._readable)

    # The connection

    async def _run(self) -> None:
        first, longest = BACKOFF
        while True:
            self._lost.clear()
            self._reason = ""
            self._answered = False
            error = await self._connect()
            if error is None:
                await self._serve()
                error = self._reason or "the connection was lost"
            self._forget_socket()
            was_connected, self.is_connected = self.is_connected, False
            if self._socket_opened and not self._answered and not self._known:
                self._modern = self._broker.modern and not self._modern
                self._client = self._make()
                if self._broker.modern and not self._modern:  # the pause comes when neither version was understood
                    continue
            self._pause = first if was_connected else min(max(first, self._pause * 2), longest)
            self._listener.disconnected(error, self._pause)
            await asyncio.sleep(self._pause)

    async def _serve(self) -> None:
        """Look after the limits of time until the connection is lost."""
        opened = self._loop.time()
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), _TICK)
            self._client.loop_misc()
            self._write_rest()
            if not self.is_connected and self._loop.time() - opened > _PATIENCE:
                self._reason = self._reason or "it does not answer"
                self._client.disconnect()  # paho closes the socket once that is written
                return

    async def _connect(self) -> str | None:
        """Open a connection and send CONNECT; returns why that failed. It may block, and so runs on a thread."""
        self.connection += 1
        self._socket_opened = False
        options: dict[str, Any] = {}
        if self._modern:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.SessionExpiryInterval = _NEVER
            properties.ReceiveMaximum = _RECEIVE_MAXIMUM
            options = {"clean_start": False, "properties": properties}
        try:
            await asyncio.to_thread(self._client.connect, self._broker.host, self._broker.port, KEEPALIVE, **options)
        except (OSError, ValueError) as error:
            return str(getattr(error, "strerror", None) or error)
        self._socket = self._client.socket()
        if self._socket is None:
            return "the connection was lost"
        self._socket_opened = True
        self._loop.add_reader(self._socket, self._readable)
        self._write_rest()
        return None

    def _make(self) -> paho.Client:
        version = paho.MQTTv5 if self._modern else paho.MQTTv311
        client = paho.Client(
            CallbackAPIVersion.VERSION2,
            self._client_id,
            clean_session=None if self._modern else False,
            protocol=version,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_socket_close = self._on_socket_close
        client.username_pw_set(self._broker.username, self._broker.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        return client

    def _readable(self) -> None:
        client = self._client
        client.loop_read()
        while self._socket is not None and self._tls is not None and self._socket.pending() and not self._paused:
            client.loop_read()
        self._write_rest()

    def _write_rest(self) -> None:
        """Write what waits, and have the loop call again if the socket takes no more for now."""
        client = self._client
        if client.want_write() and self._socket is not None:
            client.loop_write()
            if client.want_write() and not self._writing and self._socket is not None:
                self._writing = True
                self._loop.add_writer(self._socket, self._writable)

    def _writable(self) -> None:
        client = self._client
        client.loop_write()
        if not client.want_write() and self._writing and self._socket is not None:
            self._writing = False
            self._loop.remove_writer(self._socket)

    def _forget_socket(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError, ValueError):  # it is closed already
                self._loop.remove_reader(self._socket)
                self._loop.remove_writer(self._socket)
        self._socket = None
        self._writing = False

    # What paho tells

    def _on_socket_close(self, _client: paho.Client, _data: Any, socket: Any) -> None:
        if socket is self._socket:
            self._forget_socket()
            self._lost.set()

    def _on_connect(self, client: paho.Client, _data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._reason = str(reason)
            self._answered = reason.value not in _UNSUPPORTED
            return
        self._answered = True
        self._known = self.is_connected = True
        self._paused = False
        self._pause = 0.0
        self._largest = getattr(properties, "MaximumPacketSize", None)
        self._listener.connected(session_present=flags.session_present)
        if not flags.session_present or not self._subscribed:
            for topic, qos in self._subscriptions:
                self._subscribe(client, topic, qos)

    def _subscribe(self, client: paho.Client, topic: str, qos: int) -> None:
        if self._modern:  # retained messages only with a new subscription, not each time that we start
            options = SubscribeOptions(qos=qos, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
            _, mid = client.subscribe(topic, options=options)
        else:
            _, mid = client.subscribe(topic, qos)
        if mid is not None:
            self._subscribing[mid] = topic

    def _on_subscribe(self, _client: paho.Client, _data: Any, mid: int, reasons: Any, _properties: Any) -> None:
        topic = self._subscribing.pop(mid, "")
        if reasons and reasons[0].is_failure:
            self._listener.refused(topic, str(reasons[0]))
        else:
            self._subscribed = True

    def _on_disconnect(self, _client: paho.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self._reason = self._reason or str(reason)
        self._lost.set()

    def _on_publish(self, _client: paho.Client, _data: Any, mid: int, reason: Any, _properties: Any) -> None:
        done = self._published.pop(mid, None)
        if done is not None:
            done(str(reason) if reason.is_failure else "")

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        properties = getattr(message.properties, "UserProperty", ()) if self._modern else ()
        self._listener.received(
            Received(
                message.topic,
                bytes(message.payload),
                message.qos,
                message.mid,
                message.dup,
                properties,
                self.connection,
            )
        )
