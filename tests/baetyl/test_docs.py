"""The commands of docs/baetyl.md do what the page says."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.baetyl import write_baetyl_app
from support.hosting import DEADLINE, free_port, host_environ, running_host
from support.mqtt import Mosquitto, clients

PAGE = (Path(__file__).parents[2] / "docs/baetyl.md").read_text(encoding="utf-8")


def block(kind: str, start: str) -> str:
    """The code of the page that begins like this."""
    return next(code for code in re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL) if code.startswith(start))


def test_an_instance_alone_is_called_as_the_page_says(tmp_path):
    app = write_baetyl_app(tmp_path / "app")
    (tmp_path / "etc").mkdir()
    (tmp_path / "var/db/baetyl").mkdir(parents=True)
    (app / "var/db/baetyl/function-sayhi-conf").rename(tmp_path / "etc/baetyl")
    (app / "var/db/baetyl/function-sayhi-code").rename(tmp_path / "var/db/baetyl/function-sayhi")
    port = str(free_port())
    setting, command = block("console", "$ BAETYL_").splitlines()[0].removeprefix("$ ").split(" ", 1)
    name, address = setting.replace("50051", port).split("=")
    instance = subprocess.Popen(
        [sys.executable, "-m", "worker_ext", *shlex.split(command.removeprefix("func ").removesuffix(" &"))],
        cwd=tmp_path,
        env=host_environ({name: address}),
        stderr=subprocess.DEVNULL,
    )
    try:
        (tmp_path / "call.py").write_text(block("python", "# call.py").replace("50051", port))
        call = [sys.executable, "call.py"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=DEADLINE, check=True)
        assert done.stdout == 'b\'{"action": "B"}\'\n'
        instance.send_signal(signal.SIGTERM)
        assert instance.wait(DEADLINE) == 0
    finally:
        instance.kill()
        instance.wait()


@pytest.mark.parametrize("in_settings", [False, True])
def test_rules_run_alone_beside_the_mosquitto_of_the_page(tmp_path, in_settings):
    page = block("console", "$ touch passwords")
    lines = page.partition("<<END\n")[2].partition("END\n")[0].splitlines()
    kept = [
        line for line in lines if not line.startswith(("listener", "password_file"))
    ]  # which the test has its own of
    assert kept == ["allow_anonymous false", "max_queued_messages 0"]
    broker = Mosquitto(tmp_path / "broker", {"test": ("hahaha", ["readwrite #"])})
    broker.start()
    try:
        app = write_baetyl_app(tmp_path / "app", hub=broker.address if in_settings else "tcp://localhub:1883")
        option = page.splitlines()[-1].partition("start ")[2].replace("1883", str(broker.port))
        options = () if in_settings else tuple(option.split())
        with running_host(app, *options, port=None, ready="Connected to") as host, clients(broker.port) as connect:
            client = connect("py/hi")
            client.publish("py", {"action": "A"})
            assert client.wait_for(1) == [{"action": "A"}]
            assert "embedded hub" not in host.console
            assert ("The hub localhub of the app is not run" in host.console) == in_settings
            assert host.stop() == 0
            host.wait_for_nothing_left()
    finally:
        broker.stop()
