"""The embedded hub: its users, what they may do, and where it listens."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from support.baetyl import PRINCIPALS, rule, write_baetyl_app
from support.hosting import RunningHost, free_port, running_host, start_fails, wait_until
from support.mqtt import clients

GUEST = {
    "username": "guest",
    "password": "guest",
    "permissions": [{"action": "sub", "permit": ["news/#"]}, {"action": "pub", "permit": ["py"]}],
}
Embedded = Callable[..., AbstractContextManager[tuple[RunningHost, int]]]


@pytest.fixture
def embedded(tmp_path: Path) -> Embedded:
    """Runs an app with its own hub."""

    @contextmanager
    def embedded(*options: str, **settings: Any) -> Iterator[tuple[RunningHost, int]]:
        port = free_port()
        app = write_baetyl_app(tmp_path, listen=port, **settings)
        with running_host(app, *options, port=None, ready="Worker process started") as host:
            yield host, port

    return embedded


def connect_reason(port: int, user: str, password: str) -> str:
    """What the hub answers to a CONNECT."""
    reasons: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, password)
    client.on_connect = lambda *given: reasons.append(str(given[3]))
    client.connect("127.0.0.1", port)
    client.loop_start()
    wait_until(lambda: reasons, "an answer")
    client.disconnect()
    client.loop_stop()
    return reasons[0]


def test_only_principals_may_connect(embedded):
    with embedded() as (_, port):
        assert connect_reason(port, "test", "hahaha") == "Success"
        assert connect_reason(port, "test", "wrong") == "Not authorized"
        assert connect_reason(port, "nobody", "hahaha") == "Not authorized"


def test_a_subscription_that_is_denied_is_told_with_its_rule(embedded):
    rules = [rule(topic="secret"), rule(topic="news/today", reply="py")]
    user = {"username": "guest", "password": "guest"}
    with embedded(principals=[*PRINCIPALS, GUEST], hub_settings=user, rules=rules) as (host, _):
        told = host.wait_for(r"\S+: the hub does not let rule-secret subscribe to secret: .*")
        assert "function-manager-conf/service.yml:" in told[0]
        assert "rule-news-today subscribe" not in host.console


def test_it_listens_on_loopback_unless_it_is_made_public(embedded):
    def address(port: int) -> str:
        with open("/proc/net/tcp") as table:
            rows = [line.split()[1:4] for line in table.readlines()[1:]]
        return next(local.split(":")[0] for local, _, state in rows if state == "0A" and local.endswith(f":{port:04X}"))

    with embedded() as (_, port):
        assert address(port) == "0100007F"
    with embedded("--public") as (host, port):
        assert address(port) == "00000000"
        assert f"listens on tcp://0.0.0.0:{port}" in host.console


def test_a_hub_without_principals_lets_everybody_in(embedded):
    with embedded(principals=[]) as (host, port), clients(port) as connect:
        host.wait_for("Connected to")
        client = connect("py/hi", user=(None, None), modern=False)
        client.publish("py", 1)
        assert client.wait_for(1) == [1]


def test_a_port_that_is_taken_is_explained(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = start_fails(write_baetyl_app(tmp_path, listen=port), port=None)
    assert f"the embedded hub cannot listen on 127.0.0.1:{port}" in told
    assert "--hub" in told
