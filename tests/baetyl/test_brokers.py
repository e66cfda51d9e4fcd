"""Brokers that are reached in other ways: with TLS, with client certificates, with the protocol's older version."""

from __future__ import annotations

import os

from support.baetyl import rule, write_baetyl_app
from support.certificates import make_certificates
from support.hosting import free_port, running_host, start_fails, write_app
from support.mqtt import Mosquitto, clients


def test_a_broker_that_asks_for_a_certificate(tmp_path):
    make_certificates(tmp_path, "server", "client")
    secure = free_port()
    lines = [
        f"listener {secure} 127.0.0.1",
        f"cafile {tmp_path / 'ca.crt'}",
        f"certfile {tmp_path / 'server.crt'}",
        f"keyfile {tmp_path / 'server.key'}",
        "require_certificate true",
    ]
    for name in ("server.key", "server.crt", "ca.crt"):
        os.chmod(tmp_path / name, 0o644)
    broker = Mosquitto(tmp_path / "broker", {"test": ("hahaha", ["readwrite #"])}, lines)
    broker.start()
    app = write_baetyl_app(tmp_path / "app")
    hub = ("--hub", f"ssl://localhost:{secure}", "--hub-ca", str(tmp_path / "ca.crt"))
    mine = ("--hub-cert", str(tmp_path / "client.crt"), "--hub-key", str(tmp_path / "client.key"))
    try:
        with (
            running_host(app, *hub, *mine, port=None, ready="Connected to ssl") as host,
            clients(broker.port) as connect,
        ):
            client = connect("py/hi")
            client.publish("py", {"over": "TLS"})
            assert client.wait_for(1) == [{"over": "TLS"}]
            assert host.stop() == 0
        with running_host(app, *hub, port=None, ready="is not connected to ssl"):
            pass
        with running_host(app, "--hub", f"ssl://localhost:{secure}", port=None, ready="certificate verify failed"):
            pass
        told = start_fails(app, *hub, "--hub-cert", str(tmp_path / "missing.crt"), port=None)
        assert "missing.crt" in told
    finally:
        broker.stop()


def test_a_broker_that_knows_only_the_older_version(tmp_path):
    port = free_port()
    hub = write_baetyl_app(tmp_path / "hub", listen=port, rules=[])
    other = write_baetyl_app(tmp_path / "other", rules=[rule(clientid="other")])
    with running_host(hub, port=None, ready="Worker process started") as first:
        first.wait_for("Connected to")
        with running_host(other, "--hub", f"tcp://localhost:{port}", port=None, ready="Connected to tcp://localhost"):
            pass


def test_options_of_another_kind_of_app_are_refused(tmp_path):
    app = write_baetyl_app(tmp_path / "baetyl")
    assert "--cors is for Azure Functions apps" in start_fails(app, "--cors", "*", port=None)
    azure = write_app(tmp_path / "azure", {"function_app.py": ""})
    assert "--hub is for Baetyl apps" in start_fails(azure, "--hub", "tcp://localhost", port=None)
    assert "--hub 'http://x' is no address of a broker" in start_fails(app, "--hub", "http://x", port=None)
