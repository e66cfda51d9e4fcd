"""A function instance as Baetyl starts it, called by a real gRPC client."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from support.baetyl import ECHO
from support.certificates import make_certificates
from support.hosting import DEADLINE, free_port, host_environ

from worker_ext.host.baetyl.function_pb2 import FunctionMessage

HANDLERS = """
import asyncio, json, os, time

def echo(event, context):
    return event

def about(event, context):
    return dict(context)

def fails(event, context):
    raise ValueError("no tea today")

def strange(event, context):
    return {1, 2}

def sleeps(event, context):
    time.sleep(event["s"])
    return "slept"

async def naps(event, context):
    await asyncio.sleep(event["s"])
    return "napped"
"""
NAMES = ("echo", "about", "fails", "strange", "sleeps", "naps")
Start = Callable[..., contextlib.AbstractContextManager[subprocess.Popen[str]]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts an instance in its own folder; gives the process once it listens."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "get.py").write_text(HANDLERS)

    @contextlib.contextmanager
    def start(
        server: dict[str, Any], *options: str, file: str = "etc/baetyl/service.yml", environ: Any = None
    ) -> Iterator[subprocess.Popen[str]]:
        settings = tmp_path / file
        settings.parent.mkdir(parents=True, exist_ok=True)
        functions = [{"name": name, "handler": f"get.{name}", "codedir": "code"} for name in NAMES]
        settings.write_text(yaml.safe_dump({"functions": functions, "server": server}))
        process = subprocess.Popen(
            [sys.executable, "-m", "worker_ext", "baetyl", "function", *options],
            cwd=tmp_path,
            env=host_environ(environ or {}),
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stderr is not None
            lines: list[str] = []
            while not lines or "listening on" not in lines[-1]:
                lines.append(process.stderr.readline())
                assert lines[-1], f"it has ended: {lines}"
            yield process
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            process.wait()
            process.stderr.close()

    return start


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


def call(
    channel: grpc.Channel, name: str, payload: bytes = b"", service: str = "baetyl.Function", **fields: Any
) -> Any:
    method = channel.unary_unary(
        f"/{service}/Call",
        request_serializer=FunctionMessage.SerializeToString,
        response_deserializer=FunctionMessage.FromString,
    )
    return method(FunctionMessage(FunctionName=name, Payload=payload, **fields), timeout=DEADLINE, wait_for_ready=True)


@pytest.mark.parametrize("service", ["baetyl.Function", "openedge.Function"])
def test_all_but_the_payload_is_echoed(start, address, service):
    fields = {"ID": 7, "QOS": 1, "Topic": "py", "Timestamp": -5, "FunctionInvokeID": "an-id"}
    with start({"address": address}), grpc.insecure_channel(address) as channel:
        reply = call(channel, "about", service=service, **fields)
    assert {name: getattr(reply, name) for name in fields} == fields
    context = yaml.safe_load(reply.Payload)
    assert context == {
        "messageQOS": 1, "messageTopic": "py", "messageTimestamp": -5,
        "functionName": "about", "functionInvokeID": "an-id", "invokeid": "an-id",
    }  # fmt: skip


def test_errors_begin_with_what_went_wrong(start, address):
    with start({"address": address}), grpc.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "fails")
        assert caught.value.details() == "[UserCodeInvoke] ValueError: no tea today"
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "strange")
        assert caught.value.details().startswith("[UserCodeReturn] TypeError: ")
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "nobody")
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert call(channel, "echo", b'{"still": 1}').Payload == b'{"still": 1}'


def test_limits_of_time_and_size(start, address):
    server = {"address": address, "timeout": "300ms", "message": {"length": {"max": "1k"}}}
    with start(server), grpc.insecure_channel(address) as channel:
        for name in ("naps", "sleeps"):
            with pytest.raises(grpc.RpcError) as caught:
                call(channel, name, b'{"s": 5}')
            assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "echo", b"x" * 2000)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert call(channel, "echo", b"\xff").Payload == b"\xff"


@pytest.mark.parametrize("prefix", ["BAETYL", "OPENEDGE"])
def test_name_and_address_come_from_the_environment(start, address, prefix, tmp_path):
    environ = {f"{prefix}_SERVICE_INSTANCE_NAME": "sayhi.1", f"{prefix}_SERVICE_INSTANCE_ADDRESS": address}
    with start({}, "-c", "other.yml", file="other.yml", environ=environ), grpc.insecure_channel(address) as channel:
        assert call(channel, "echo", b"1").Payload == b"1"


def test_running_calls_finish_when_it_is_told_to_end(start, address):
    with start({"address": address}) as process, grpc.insecure_channel(address) as channel:
        call(channel, "echo")
        method = channel.unary_unary("/baetyl.Function/Call", response_deserializer=FunctionMessage.FromString)
        pending = method.future(FunctionMessage(FunctionName="sleeps", Payload=b'{"s": 1}').SerializeToString())
        call(channel, "echo")
        process.send_signal(signal.SIGTERM)
        assert pending.result(DEADLINE).Payload == b'"slept"'
        assert process.wait(DEADLINE) == 0


def test_a_certificate_authority_makes_tls_mutual(start, address, tmp_path):
    make_certificates(tmp_path, "server", "client")
    read = lambda name: (tmp_path / name).read_bytes()  # noqa: E731
    known = grpc.ssl_channel_credentials(read("ca.crt"), read("client.key"), read("client.crt"))
    unknown = grpc.ssl_channel_credentials(read("ca.crt"))
    with start({"address": address, "ca": "ca.crt", "key": "server.key", "cert": "server.crt"}):
        with grpc.secure_channel(address, known) as channel:
            assert call(channel, "echo", b"1").Payload == b"1"
        with grpc.secure_channel(address, unknown) as channel, pytest.raises((grpc.FutureTimeoutError, grpc.RpcError)):
            grpc.channel_ready_future(channel).result(1)


@pytest.mark.parametrize(
    ("server", "options", "told"),
    [
        ({}, (), "no address to listen on"),
        ({"address": "127.0.0.1:1", "key": "a.key"}, (), "server.cert must be a file"),
        ({}, ("-c", "missing.yml"), "missing.yml: there is no such file"),
        ({"address": "127.0.0.1:1", "key": "a.key", "cert": "a.crt"}, (), "a.key: it cannot be read"),
        ({"address": "nowhere:port"}, (), "An address is HOST:PORT"),
    ],
)
def test_mistakes_are_explained(tmp_path, server: dict[str, Any], options: Sequence[str], told: str):
    (tmp_path / "etc/baetyl").mkdir(parents=True)
    service = {"functions": [{"name": "a", "handler": "get.handler", "codedir": "."}], "server": server}
    (tmp_path / "etc/baetyl/service.yml").write_text(yaml.safe_dump(service))
    (tmp_path / "get.py").write_text(ECHO)
    done = subprocess.run(
        [sys.executable, "-m", "worker_ext", "baetyl", "function", *options],
        cwd=tmp_path,
        env=host_environ({"PYTHONDONTWRITEBYTECODE": os.environ.get("PYTHONDONTWRITEBYTECODE", "")}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
