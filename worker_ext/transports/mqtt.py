"""An MQTT client on an asyncio loop: connected again and again, with messages that are acknowledged by hand.

MQTT 5 is tried first, for its user properties and its reasons; a broker that does not know it gets 3.1.1.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, cast

from ..errors import ProtocolError
from . import mqtt_codec as codec
from .mqtt_broker import Broker
from .mqtt_codec import Kind, UserProperties

BACKOFF = (0.5, 60.0)
"""Seconds between attempts to connect: the first pause and the longest."""

KEEPALIVE = 60
"""Seconds without traffic after which the connection is checked."""

LARGEST = 256 * 1024 * 1024
"""The most bytes of a packet: what MQTT allows."""

_PATIENCE = 5.0  # seconds that a broker has to accept a connection, and again to answer CONNECT
_RECEIVE_MAXIMUM = 100  # messages that may be unacknowledged, in either direction
_UNSUPPORTED = {1, 0x84}


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


class _Outgoing(NamedTuple):
    """A message with QoS 1 on its way to the broker."""

    topic: str
    payload: bytes
    properties: UserProperties
    done: Callable[[str], None] | None


class MqttClient(asyncio.Protocol):
    """One client of a broker, with a session that survives its connections.

    :param broker: where to connect.
    :param client_id: the session's name.
    :param listener: told what happens.
    :param subscriptions: (topic filter, QoS) of what is subscribed to.
    :raises ConfigurationError: if a file for TLS cannot be used.
    :ivar is_connected: whether the broker has accepted us.
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
        self._subscribed = False
        self._pause = 0.0
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._batch: list[bytes] | None = None
        self._decoder = codec.Decoder(LARGEST)
        self._understood = False  # whether the broker has understood our CONNECT
        self._settled = asyncio.Event()  # it has answered, or the connection has been lost
        self._lost = asyncio.Event()  # the connection is of no use any more
        self._gone = asyncio.Event()  # it has ended
        self._reason = ""
        self._held = False  # whether somebody wants to receive nothing for now
        self._congested = False
        self._sent_at = self._received_at = 0.0
        self._mid = 0
        self._outgoing: dict[int, _Outgoing] = {}  # not acknowledged yet, the oldest first
        self._queue: deque[_Outgoing] = deque()
        self._window = _RECEIVE_MAXIMUM
        self._largest = LARGEST
        self._keepalive = float(KEEPALIVE)
        self._connection = 0
        self.is_connected = False

    def start(self) -> None:
        """Connect, and again whenever the connection is lost, until :meth:`close`."""
        self._task = self._loop.create_task(self._run())

    async def close(self) -> None:
        """Disconnect; the session stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._transport is not None:
            if self.is_connected:
                self._write(codec.DISCONNECT)
            self._transport.close()

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
        if len(payload) + len(topic) + 64 > self._largest:
            raise ProtocolError(f"{len(payload)} bytes are more than the {self._largest} that the broker takes")
        if not qos:
            data = codec.publish(topic, payload, 0, 0, duplicate=False, modern=self._modern, properties=properties)
            if self.is_connected:
                self._write(data)
            if done is not None:
                done("")
            return
        message = _Outgoing(topic, payload, properties, done)
        if self.is_connected and not self._queue and len(self._outgoing) < self._window:
            self._send(message)
        else:
            self._queue.append(message)

    def acknowledge(self, message: Received) -> bool:
        """Acknowledge a message, and tell whether that was possible: it is not when its connection has ended.

        Then the broker will deliver it again, if it had QoS 1.
        """
        if message.connection != self._connection or not self.is_connected:
            return False
        if message.qos:
            self._write(codec.puback(message.mid))
        return True

    def pause(self) -> None:
        """Receive nothing for a while: the broker keeps what comes, as long as it can."""
        self._held = True
        self._steer()

    def resume(self) -> None:
        """Receive again."""
        self._held = False
        self._steer()

    # The connection

    async def _run(self) -> None:
        first, longest = BACKOFF
        while True:
            understood = True
            try:
                understood = await self._connect()
                await self._look_after()
                problem = self._reason or "the connection was lost"
            except (OSError, TimeoutError) as error:
                problem = getattr(error, "strerror", None) or str(error) or "it cannot be reached in time"
            except Exception as error:  # of ours, or of the event loop: it must not end the client
                problem = repr(error)
            was_connected, self.is_connected = self.is_connected, False
            if self._transport is not None:
                self._transport.abort()
                self._transport = None
                await self._gone.wait()  # its end must not be taken for that of the next connection
            if not understood and self._broker.modern:
                self._modern = not self._modern
                if not self._modern:  # the pause comes when neither version has been understood
                    continue
            self._pause = first if was_connected else min(max(first, self._pause * 2), longest)
            self._listener.disconnected(problem, self._pause)
            await asyncio.sleep(self._pause)

    async def _connect(self) -> bool:
        """Connect and have the broker accept us; returns whether it has understood what we said.

        :raises OSError: if it cannot be reached.
        :raises TimeoutError: if it cannot be reached in time.
        """
        self._connection += 1
        self._lost.clear()
        self._settled.clear()
        self._understood = False
        self._decoder = codec.Decoder(LARGEST)
        self._reason = ""
        host, port = self._broker.host, self._broker.port
        name = host if self._tls is not None else None
        await asyncio.wait_for(
            self._loop.create_connection(lambda: self, host, port, ssl=self._tls, server_hostname=name), _PATIENCE
        )
        broker = self._broker
        self._write(
            codec.connect(
                self._client_id,
                KEEPALIVE,
                modern=self._modern,
                username=broker.username,
                password=broker.password,
                receive_maximum=_RECEIVE_MAXIMUM,
            )
        )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._settled.wait(), _PATIENCE)
        if not self.is_connected and not self._lost.is_set():
            self._lose("it does not answer")
        return self._known or self._understood

    async def _look_after(self) -> None:
        """Keep the connection alive until it is lost."""
        while not self._lost.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lost.wait(), self._keepalive / 4)
            now = self._loop.time()
            if now - self._sent_at > self._keepalive / 2 or now - self._received_at > self._keepalive / 2:
                self._write(codec.PINGREQ)
            if now - self._received_at > self._keepalive * 1.5 and not (self._held or self._congested):
                self._lose("it does not answer any more")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the transport (called by asyncio)."""
        self._transport = cast(asyncio.Transport, transport)
        self._held = self._congested = False
        self._gone.clear()
        self._received_at = self._loop.time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection (called by asyncio)."""
        self._gone.set()
        self._lose((getattr(exc, "strerror", None) or str(exc)) if exc is not None else "")

    def _lose(self, reason: str) -> None:
        """Give the connection up; the first reason is the one to tell."""
        self._reason = self._reason or reason
        self._lost.set()
        self._settled.set()

    def pause_writing(self) -> None:
        """Receive nothing while the broker takes nothing (called by asyncio)."""
        self._congested = True
        self._steer()

    def resume_writing(self) -> None:
        """Receive again (called by asyncio)."""
        self._congested = False
        self._steer()

    def _steer(self) -> None:
        """Have the transport read, or not."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._held or self._congested:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._batch is not None:
            self._batch.append(data)
        elif self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)
            self._sent_at = self._loop.time()

    # What comes

    def data_received(self, data: bytes) -> None:
        """Decode and handle what has come; what is written meanwhile leaves in one piece (called by asyncio)."""
        self._received_at = self._loop.time()
        batch = self._batch = []
        try:
            for first, body in self._decoder.feed(data):
                self._handle(first, body)
        except ProtocolError as error:
            self._lose(error.message)
        finally:
            self._batch = None
            if batch:
                self._write(b"".join(batch))

    def _handle(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == Kind.PUBLISH:
            self._listener.received(Received(*codec.read_publish(first, body, modern=self._modern), self._connection))
        elif kind == Kind.PUBACK:
            self._acknowledged(*codec.read_ack(body))
        elif kind == Kind.CONNACK:
            self._answered(codec.read_connack(body, modern=self._modern))
        elif kind == Kind.SUBACK:
            self._subscribed = True
            _, codes = codec.read_suback(body, modern=self._modern)
            for (topic, _qos), code in zip(self._subscriptions, codes, strict=False):
                if code >= 0x80:
                    self._listener.refused(topic, codec.reason(code))
        elif kind == Kind.DISCONNECT:
            self._lose(codec.reason(body[0]) if body and body[0] else "the broker has ended the connection")
        elif kind != Kind.PINGRESP:
            raise ProtocolError(f"the broker sent a packet of the kind {kind}, which is not for a client like this")

    def _answered(self, connack: codec.Connack) -> None:
        if connack.code:
            self._understood = connack.code not in _UNSUPPORTED
            self._lose(codec.reason(connack.code))
            return
        self._understood = self._known = self.is_connected = True
        self._settled.set()
        self._pause = 0.0
        properties = connack.properties
        self._window = min(_RECEIVE_MAXIMUM, properties.get(codec.RECEIVE_MAXIMUM, _RECEIVE_MAXIMUM))
        self._largest = properties.get(codec.MAXIMUM_PACKET_SIZE, LARGEST)
        self._keepalive = properties.get(codec.SERVER_KEEP_ALIVE) or float(KEEPALIVE)
        self._listener.connected(session_present=connack.session_present)
        if self._subscriptions and not (connack.session_present and self._subscribed):
            self._write(codec.subscribe(self._next_mid(), self._subscriptions, modern=self._modern))
        for mid, message in self._outgoing.items():
            self._send_as(mid, message, duplicate=connack.session_present)
        self._send_queued()

    def _acknowledged(self, mid: int, code: int) -> None:
        message = self._outgoing.pop(mid, None)
        if message is None:
            return
        self._send_queued()
        if message.done is not None:
            message.done(codec.reason(code) if code >= 0x80 else "")

    # What goes

    def _send_queued(self) -> None:
        while self._queue and len(self._outgoing) < self._window:
            self._send(self._queue.popleft())

    def _send(self, message: _Outgoing) -> None:
        mid = self._next_mid()
        self._send_as(mid, message, duplicate=False)
        self._outgoing[mid] = message

    def _send_as(self, mid: int, message: _Outgoing, *, duplicate: bool) -> None:
        topic, payload, properties, _ = message
        self._write(
            codec.publish(topic, payload, 1, mid, duplicate=duplicate, modern=self._modern, properties=properties)
        )

    def _next_mid(self) -> int:
        while True:
            self._mid = self._mid % 0xFFFF + 1
            if self._mid not in self._outgoing:
                return self._mid
