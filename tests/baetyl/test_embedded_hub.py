"""The embedded hub: its users, what they may do, and where it listens."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import yaml
from paho.mqtt.enums import CallbackAPIVersion
from support.baetyl import PRINCIPALS, rule, write_baetyl_app
from support.certificates import make_certificates
from support.hosting import RunningHost, free_port, running_host, start_fails, wait_until
from support.mqtt import clients

from worker_ext.errors import ConfigurationError
from worker_ext.host.baetyl import application

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


def edit_hub(app: Path, **settings: Any) -> None:
    """Change the hub's own settings."""
    file = app / "var/db/baetyl/localhub-conf/service.yml"
    file.write_text(yaml.safe_dump({**yaml.safe_load(file.read_text()), **settings}))


def route(source: str, target: str, source_qos: int = 1, target_qos: int = 1) -> dict[str, Any]:
    return {"source": {"topic": source, "qos": source_qos}, "target": {"topic": target, "qos": target_qos}}


def test_messages_are_forwarded_from_topic_to_topic(tmp_path):
    # Also further, and to a rule: t/1 -> all -> py -> the function -> py/hi.
    port = free_port()
    app = write_baetyl_app(tmp_path, listen=port)
    edit_hub(app, subscriptions=[route("t/+", "all"), route("all", "py"), route("all", "lower", 1, 0)])
    with running_host(app, port=None, ready="Connected to"), clients(port) as connect:
        client = connect("all", "lower", "py/hi", modern=False)
        client.publish("t/1", "hello")
        client.wait_for(3)
        assert sorted(client.received) == [("all", b"hello"), ("lower", b"hello"), ("py/hi", b"hello")]


@pytest.mark.parametrize(
    ("subscriptions", "told"),
    [
        ([route("a", "b"), route("b", "a")], "subscriptions[1].target.topic must be a topic whose messages"),
        ([route("#", "a")], "subscriptions[0].target.topic must be a topic whose messages"),
        ([route("a", "b/#")], "subscriptions[0].target.topic must be a topic without"),
        ([route("a", "b"), route("a", "b")], "subscriptions[1] must be a subscription that is not listed"),
        ([route("a", "b", 2)], "subscriptions[0].source.qos must be a whole number"),
        ([{"source": {"topic": "a"}}], "subscriptions[0].target.topic"),
    ],
)
def test_subscriptions_that_cannot_be_carried_out_are_refused(tmp_path, subscriptions, told):
    edit_hub(write_baetyl_app(tmp_path), subscriptions=subscriptions)
    with pytest.raises(ConfigurationError) as caught:
        application.read(tmp_path)
    assert told in str(caught.value)


def test_it_encrypts_and_asks_for_certificates(tmp_path):
    port = free_port()
    make_certificates(tmp_path, "server", "client")
    device = {"username": "device", "permissions": [{"action": "pub", "permit": ["py"]}]}
    app = write_baetyl_app(tmp_path / "app", principals=[*PRINCIPALS, device])
    files = {"ca": "ca.crt", "cert": "server.crt", "key": "server.key"}
    # Volumes lie below the app's folder, and so must what the hub reads.
    (app / "keys").mkdir()
    for name in files.values():
        shutil.copy(tmp_path / name, app / "keys" / name)
    edit_hub(app, listen=[f"ssl://0.0.0.0:{port}"], certificate={name: f"keys/{file}" for name, file in files.items()})
    trusting = ["--cafile", str(tmp_path / "ca.crt")]
    certified = [*trusting, "--cert", str(tmp_path / "client.crt"), "--key", str(tmp_path / "client.key")]

    def publish(*options: str) -> int:
        command = ["mosquitto_pub", "-h", "localhost", "-p", str(port), "-t", "py", "-m", "1", "-q", "1"]
        return subprocess.run([*command, *options], capture_output=True, timeout=30).returncode

    with running_host(app, port=None, ready="Connected to") as host:
        assert f"listens on ssl://127.0.0.1:{port}" in host.console
        assert publish("-u", "test", "-P", "hahaha", *certified) == 0
        host.wait_for("Executed 'Functions.sayhi3'")
        assert publish("-u", "device", *certified) == 0  # its certificate is its password
        assert publish("-u", "test", "-P", "wrong", *certified) != 0
        assert publish("-u", "test", "-P", "hahaha", *trusting) != 0
        assert publish("-u", "test", "-P", "hahaha") != 0


def test_a_principal_without_a_password_needs_a_certificate(embedded):
    with embedded(principals=[*PRINCIPALS, {"username": "device", "permissions": []}]) as (_, port):
        assert connect_reason(port, "device", "") == "Not authorized"


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        ({}, "certificate.cert must be a file, as the hub listens on an ssl:// address"),
        ({"cert": "server.crt"}, "certificate.key must be a file"),
        ({"cert": "no.crt", "key": "no.key"}, "no.crt"),
    ],
)
def test_a_certificate_that_is_missing_is_told(tmp_path, certificate, told):
    app = write_baetyl_app(tmp_path)
    edit_hub(app, listen=["ssl://0.0.0.0:8883"], certificate=certificate)
    message = start_fails(app, port=None)
    assert told in message
    assert "localhub-conf/service.yml" in message
