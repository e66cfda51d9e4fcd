"""The embedded hub: its users, what they may do, and where it listens."""

from __future__ import annotations

import re
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


def connect_reason(port: int, user: str, password: str, *, will: str = "") -> str:
    """What the hub answers to a CONNECT."""
    reasons: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(user, password)
    if will:
        client.will_set(will, "gone", 1)
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


def mosquitto_sub(port: int, *options: str) -> subprocess.Popen[str]:
    """A client of the guest's; each line of its output is a message: topic, retain flag, payload."""
    command = ["mosquitto_sub", "-p", str(port), "-u", "guest", "-P", "guest", "-F", "%t %r %p", "-W", "60", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_who_publishes_what_it_may_not_is_disconnected(embedded):
    with embedded(principals=[*PRINCIPALS, GUEST]) as (host, port), clients(port) as connect:
        seen = connect("#", modern=False)
        for topic in ("secret", "py/" + "/".join("12345678")):  # the second has a level more than a topic may
            guest = connect(user=("guest", "guest"), modern=False)
            guest.publish("py", 1)
            guest.publish(topic, 1)
            host.wait_for(rf"The hub has disconnected \S+ \(guest\), which may not publish to {topic}\.")
        seen.wait_for(2)
        assert {topic for topic, _ in seen.received} <= {"py", "py/hi"}
        assert connect_reason(port, "guest", "guest", will="secret") == "Not authorized"
        assert connect_reason(port, "guest", "guest", will="py") == "Success"


@pytest.mark.parametrize(
    ("sent", "answered", "told"),
    [
        (b"\x10\x10\x00\x04MQTT\x05\xc2\x00\x3c\x00\x00\x03", b"\x20\x03\x00\x84\x00", "speaks MQTT 5: the embedded"),
        (b"\x10\x10\x00\x06MQIsdp\x03\xc2\x00\x3c\x00\x00", b"\x20\x02\x00\x01", "speaks MQTT 3.1: the embedded"),
        (b"GET / HTTP/1.1\r\n\r\n", b"", "does not speak MQTT"),
    ],
)
def test_a_client_that_speaks_something_else_is_answered(embedded, sent, answered, told):
    with embedded() as (host, port), socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        client.sendall(sent)
        with client.makefile("rb") as reader:
            assert reader.read(len(answered)) == answered
        host.wait_for(re.escape(told))


def test_what_is_retained_comes_once_to_those_who_subscribe_to_it(embedded):
    with embedded(principals=[*PRINCIPALS, GUEST]) as (_, port), clients(port) as connect:
        everything = connect("#", modern=False)  # its subscription is nobody else's
        for topic in ("secret", "news/today"):
            subprocess.run(
                ["mosquitto_pub", "-p", str(port), "-u", "test", "-P", "hahaha", "-t", topic, "-m", "kept", "-r"],
                check=True,
                timeout=30,
            )
        everything.wait_for(2)
        reader = mosquitto_sub(port, "-t", "news/#", "-q", "1", "-C", "2")
        assert reader.stdout is not None
        assert reader.stdout.readline() == "news/today 1 kept\n"
        everything.publish("news/today", "live")
        assert reader.communicate(timeout=30)[0] == "news/today 0 live\n"


def test_messages_for_an_absent_session_are_kept(embedded):
    with embedded(principals=[*PRINCIPALS, GUEST]) as (_, port), clients(port) as connect:
        session = ("-t", "news/today", "-q", "1", "-i", "reader", "-c")
        mosquitto_sub(port, *session, "-E").communicate(timeout=30)  # it leaves as soon as it has subscribed
        publisher = connect(modern=False)
        publisher.publish("news/today", 1)
        publisher.publish("news/today", 2)
        told, _ = mosquitto_sub(port, *session, "-C", "2").communicate(timeout=30)
        assert told == "news/today 0 1\nnews/today 0 2\n"


def test_no_message_is_lost_while_others_subscribe_and_leave(embedded):
    with embedded() as (host, port), clients(port) as connect:
        reader, restless, publisher = (connect(*topics, modern=False) for topics in (["news"], [], []))
        for number in range(200):
            restless.subscribe(f"topics/{number}")
            publisher.publish("news", number)
            restless.unsubscribe(f"topics/{number}")
        assert reader.wait_for(200) == list(range(200))
        assert "Traceback" not in host.console


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
        ([route("a", "b/#")], "subscriptions[0].target.topic must be a topic to publish to"),
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
