"""What is measured, each in processes of its own: the host, an instance, and the two bare servers beside them."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

PYTHON = sys.executable
HANDLER = "def handler(event, context):\n    return event\n"

PAHO_ECHO = """
import sys
import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

port, topic, reply, qos = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
client = paho.Client(CallbackAPIVersion.VERSION2)
client.on_message = lambda client, _, message: client.publish(reply, message.payload, message.qos)
client.on_connect = lambda *_: client.subscribe(topic, qos)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect("127.0.0.1", port)
client.loop_forever()
"""

GRPC_ECHO = """
import sys
from concurrent.futures import ThreadPoolExecutor
import grpc

server = grpc.server(ThreadPoolExecutor(8))
handler = grpc.unary_unary_rpc_method_handler(lambda request, _: request)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("baetyl.Function", {"Call": handler}),))
server.add_insecure_port(sys.argv[1])
server.start()
print("ready", flush=True)
server.wait_for_termination()
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextlib.contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """A broker; gives its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        raise SystemExit("mosquitto is not installed; on Debian: apt-get install mosquitto")
    port = free_port()
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n", encoding="utf-8")
    with process([program, "-c", str(settings)]):
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield port


@contextlib.contextmanager
def process(command: Sequence[str], ready: str = "", cwd: Path | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process, until the block ends.

    :param ready: what a line of its output contains when the block may begin; empty for at once.
    """
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE if ready else subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True, cwd=cwd
    )
    try:
        if ready:
            assert running.stdout is not None
            lines = []
            while ready not in (line := running.stdout.readline()):
                lines.append(line)
                if not line:
                    raise SystemExit(f"{command[0]} did not start:\n{''.join(lines)}")
            subprocess.Popen(["cat"], stdin=running.stdout, stdout=subprocess.DEVNULL)  # so that it is never blocked
            running.stdout.close()
        yield running
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait()


def paho_echo(port: int, qos: int) -> contextlib.AbstractContextManager[Any]:
    """A client that publishes to ``echo/out`` what it receives on ``echo/in``."""
    return process([PYTHON, "-c", PAHO_ECHO, str(port), "echo/in", "echo/out", str(qos)], "ready")


def host(folder: Path, port: int, qos: int) -> contextlib.AbstractContextManager[subprocess.Popen[str]]:
    """Our host with a rule from ``ours/in`` to ``ours/out``."""
    manager = {
        "hub": {"address": f"tcp://127.0.0.1:{port}"},
        "rules": [
            {
                "clientid": f"ours-{qos}",
                "subscribe": {"topic": "ours/in", "qos": qos},
                "function": {"name": "echo"},
                "publish": {"topic": "ours/out", "qos": qos},
            }
        ],
        "functions": [{"name": "echo", "service": "functions", "instance": {"min": 1, "max": 1}}],
    }
    services = [
        _service(folder, "manager", "baetyl-function-manager", manager),
        _service(folder, "functions", "baetyl-function-python36", {"functions": [_function(folder)]}),
    ]
    volumes = [{"name": service["name"], "path": service["name"]} for service in services]
    (folder / "application.yml").write_text(yaml.safe_dump({"services": services, "volumes": volumes}))
    command = [PYTHON, "-m", "worker_ext", "host", "start", "--script-root", str(folder)]
    return process(command, "Worker process started")


def instance(folder: Path, address: str) -> contextlib.AbstractContextManager[Any]:
    """One function instance of ours, alone."""
    settings = folder / "instance.yml"
    settings.write_text(
        yaml.safe_dump({"functions": [_function(folder)], "server": {"address": address, "workers": {"max": 8}}})
    )
    return process([PYTHON, "-m", "worker_ext", "baetyl", "function", "-c", str(settings)], "listening", cwd=folder)


def grpc_echo(address: str) -> contextlib.AbstractContextManager[Any]:
    """A server that returns the bytes it is sent."""
    return process([PYTHON, "-c", GRPC_ECHO, address], "ready")


def _function(folder: Path) -> dict[str, str]:
    (folder / "echo.py").write_text(HANDLER, encoding="utf-8")
    return {"name": "echo", "handler": "echo.handler", "codedir": "."}


def _service(folder: Path, name: str, image: str, settings: dict[str, Any]) -> dict[str, Any]:
    (folder / name).mkdir(exist_ok=True)
    (folder / name / "service.yml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return {"name": name, "image": image, "mounts": [{"name": name, "path": "etc/baetyl"}]}
