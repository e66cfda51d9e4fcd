"""The measurements, from a client's point of view."""

from __future__ import annotations

import os
import signal
import statistics
import threading
import time
from pathlib import Path
from typing import Any

import grpc
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from worker_ext.host.baetyl.function_pb2 import FunctionMessage

PAYLOAD = b'{"action": "A"}'
PATIENCE = 120.0


class MqttLoad:
    """A client that publishes to ``NAME/in`` and receives from ``NAME/out``."""

    def __init__(self, port: int, name: str, qos: int) -> None:
        self._name, self._qos = name, qos
        self._subscribed = threading.Event()
        self._client = client = paho.Client(CallbackAPIVersion.VERSION2)
        client.max_inflight_messages_set(1000)
        client.on_connect = lambda *_: client.subscribe(f"{name}/out", qos)
        client.on_subscribe = lambda *_: self._subscribed.set()
        client.connect("127.0.0.1", port)
        client.loop_start()
        assert self._subscribed.wait(PATIENCE)

    def close(self) -> None:
        """Disconnect."""
        self._client.disconnect()
        self._client.loop_stop()

    def round_trip(self, count: int) -> float:
        """Median seconds from publishing a message to receiving its reply, one at a time.

        Each is published by the callback that received the one before, so that no thread has to be woken.
        """
        times: list[float] = []
        done = threading.Event()
        begun = 0.0

        def on_message(client: Any, *_: Any) -> None:
            nonlocal begun
            now = time.perf_counter()
            times.append(now - begun)
            if len(times) >= count:
                done.set()
                return
            begun = time.perf_counter()
            client.publish(f"{self._name}/in", PAYLOAD, self._qos)

        self._client.on_message = on_message
        begun = time.perf_counter()
        self._client.publish(f"{self._name}/in", PAYLOAD, self._qos)
        assert done.wait(PATIENCE)
        return statistics.median(times)

    def burst(self, count: int) -> float:
        """Replies per second, when so many messages are published as fast as possible."""
        received = 0
        done = threading.Event()

        def on_message(*_: Any) -> None:
            nonlocal received
            received += 1
            if received >= count:
                done.set()

        self._client.on_message = on_message
        begun = time.perf_counter()
        for _ in range(count):
            self._client.publish(f"{self._name}/in", PAYLOAD, self._qos)
        assert done.wait(PATIENCE), f"{received} replies to {count} messages"
        return count / (time.perf_counter() - begun)

    def survivors(self, count: int, kill_instance: Any) -> tuple[int, int]:
        """Publish so many numbers with QoS 1 while an instance is killed three times.

        :returns: how many numbers came back, and how many replies in all.
        """
        numbers: set[bytes] = set()
        replies = 0
        done = threading.Event()

        def on_message(_client: Any, _data: Any, message: Any) -> None:
            nonlocal replies
            replies += 1
            numbers.add(message.payload)
            if len(numbers) >= count:
                done.set()

        self._client.on_message = on_message
        for number in range(count):
            self._client.publish(f"{self._name}/in", b"%d" % number, 1)
        for share in (1, 2, 3):
            while len(numbers) < count * share // 4:
                time.sleep(0.005)
            kill_instance()
        done.wait(PATIENCE)
        return len(numbers), replies


def grpc_rate(address: str, callers: int, seconds: float) -> float:
    """Calls per second of so many callers, each with a channel of its own, one call at a time."""
    counts = [0] * callers
    channels = [grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) for _ in range(callers)]
    for channel in channels:
        grpc.channel_ready_future(channel).result(PATIENCE)
    request = FunctionMessage(ID=1, QOS=1, Topic="t", Payload=PAYLOAD, FunctionName="echo").SerializeToString()
    stop = threading.Event()

    def run(number: int) -> None:
        call = channels[number].unary_unary("/baetyl.Function/Call")
        while not stop.is_set():
            call(request)
            counts[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(callers)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    stop.wait(seconds)
    stop.set()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begun
    for channel in channels:
        channel.close()
    return sum(counts) / took


def instance_of(host: int) -> int:
    """The process id of the worker that a host has started (Linux)."""
    while True:
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[1]) == host and b"boot.py" in (entry / "cmdline").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
        time.sleep(0.005)


def kill_instance_of(host: int) -> None:
    """Kill the worker that a host has started."""
    os.kill(instance_of(host), signal.SIGKILL)
