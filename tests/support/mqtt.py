"""A real broker (Debian's mosquitto), real clients (paho), and a network between them that can be cut."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from .hosting import DEADLINE, free_port, is_listening, wait_until

ADMIN = ("test", "hahaha")  # the tutorial's user


def mosquitto() -> str:
    """The broker's program; the test is skipped without it."""
    found = shutil.which("mosquitto", path=os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"]))
    if found is None:
        pytest.skip("mosquitto is not installed")
    return found


class Mosquitto:
    """A broker in a process of its own, which can be stopped and started again with what it has kept.

    :param folder: for its files; nobody else uses it.
    :param users: user name → (password, lines of its access list).
    :param lines: further lines of its settings.
    """

    def __init__(
        self, folder: Path, users: Mapping[str, tuple[str, Sequence[str]]], lines: Sequence[str] = (), port: int = 0
    ) -> None:
        self._program = mosquitto()
        self._folder = folder
        self.port = port or free_port()
        folder.mkdir(parents=True, exist_ok=True)
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{name}:{password}\n" for name, (password, _) in users.items()))
        subprocess.run(["mosquitto_passwd", "-U", str(passwords)], check=True, capture_output=True)
        acl = "".join(
            f"user {name}\n" + "".join(f"topic {line}\n" for line in rest) for name, (_, rest) in users.items()
        )
        (folder / "acl").write_text(acl)
        settings = [
            f"listener {self.port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {passwords}",
            f"acl_file {folder / 'acl'}",
            "max_queued_messages 0",
            "persistence true",
            f"persistence_location {folder}/",
            *([f"user {os.environ.get('USER', 'root')}"] if os.geteuid() == 0 else []),
            *lines,
        ]
        (folder / "mosquitto.conf").write_text("\n".join(settings) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process = subprocess.Popen(
            [self._program, "-c", str(self._folder / "mosquitto.conf")],
            stdout=(self._folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        wait_until(lambda: is_listening(self.port), f"mosquitto on {self.port}: {self.log}")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE)
            self._process = None

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")


class Client:
    """A client of a broker that keeps what it receives."""

    def __init__(
        self, port: int, *topics: str, qos: int = 1, user: tuple[str, str] = ADMIN, modern: bool = True
    ) -> None:
        self.received: list[tuple[str, bytes]] = []
        self.properties: list[dict[str, str]] = []
        self.times: list[float] = []
        self._subscribed = threading.Event()
        version = paho.MQTTv5 if modern else paho.MQTTv311
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=version)
        self._client.username_pw_set(*user)
        self._client.on_message = self._on_message
        self._client.on_connect = lambda *_: self._on_connect(topics, qos)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.max_inflight_messages_set(1000)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._subscribed.wait(DEADLINE), "the client is not connected"

    def _on_connect(self, topics: Sequence[str], qos: int) -> None:
        if topics:
            self._client.subscribe([(topic, qos) for topic in topics])
        else:
            self._subscribed.set()

    def _on_message(self, _client: Any, _data: Any, message: Any) -> None:
        self.times.append(time.perf_counter())
        self.properties.append(dict(getattr(message.properties, "UserProperty", ())))
        self.received.append((message.topic, message.payload))

    def publish(
        self, topic: str, payload: Any, qos: int = 1, *, user_properties: Mapping[str, str] | None = None
    ) -> None:
        """Publish; what is neither text nor bytes as JSON. Waits until the broker has it."""
        data = payload if isinstance(payload, bytes | str) else json.dumps(payload)
        properties = None
        if user_properties:
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = list(user_properties.items())
        self._client.publish(topic, data, qos, properties=properties).wait_for_publish(DEADLINE)

    def publish_all(self, topic: str, payloads: Sequence[Any], qos: int = 1) -> None:
        """Publish many, and wait until the broker has all of them."""
        sent = [self._client.publish(topic, json.dumps(payload), qos) for payload in payloads]
        for one in sent:
            one.wait_for_publish(DEADLINE * 3)

    def wait_for(self, count: int, *, timeout: float = DEADLINE) -> list[Any]:
        """Wait for so many messages, and return their payloads, decoded if they are JSON."""
        wait_until(
            lambda: len(self.received) >= count, f"{count} messages; there are {len(self.received)}", timeout=timeout
        )
        return [decoded(payload) for _, payload in self.received]

    def subscribe(self, topic: str, qos: int = 1) -> None:
        """Subscribe to one more topic, without waiting for the answer."""
        self._client.subscribe(topic, qos)

    def unsubscribe(self, topic: str) -> None:
        """Leave a topic, without waiting for the answer."""
        self._client.unsubscribe(topic)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def decoded(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except (ValueError, RecursionError):
        return payload


class Proxy:
    """A TCP proxy: a network that can be cut and repaired.

    :param target: the port that it leads to.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = True
        self._sockets: list[socket.socket] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections, and let no new one through."""
        self._open = False
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def repair(self) -> None:
        self._open = True

    def close(self) -> None:
        self._server.close()
        self.cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._server.accept()
                if not self._open:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self._target))
                except OSError:
                    near.close()
                    continue
                self._sockets += (near, far)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pump, args=pair, daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for one in (source, sink):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)


Connect = Callable[..., Client]


@contextlib.contextmanager
def clients(port: int) -> Iterator[Connect]:
    """Makes clients, which are gone afterwards."""
    made: list[Client] = []

    def connect(*topics: str, **options: Any) -> Client:
        made.append(Client(options.pop("port", port), *topics, **options))
        return made[-1]

    try:
        yield connect
    finally:
        for client in made:
            client.close()
