"""What goes wrong between a message and its reply, and what nobody loses by it."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pytest
from support.baetyl import code_folder, rule
from support.hosting import wait_until
from support.mqtt import Mosquitto, Proxy, clients

NUMBERED = """
import time

def handler(event, context):
    time.sleep(0.002)
    return event
"""


def test_nothing_of_a_burst_is_lost_when_instances_are_killed(hosted, connect):
    count = 600
    with hosted(NUMBERED) as host:
        client = connect("py/hi")
        sender = threading.Thread(target=client.publish_all, args=("py", list(range(count))))
        sender.start()
        for share in (1, 2, 3):
            wait_until(lambda: len(client.received) >= count * share // 5, "some replies")
            [pid] = wait_until(host.worker_pids, "an instance")
            os.kill(pid, signal.SIGKILL)
            host.wait_for("was ended by SIGKILL", count=share)
        sender.join()
        wait_until(lambda: len({payload for _, payload in client.received}) == count, "all replies")
    numbers = [int(payload) for _, payload in client.received]
    assert sorted(set(numbers)) == list(range(count))
    assert "errorMessage" not in json.dumps(numbers)


def test_a_host_that_is_killed_gets_its_messages_when_it_is_back(hosted, connect):
    held = "import time\n\ndef handler(event, context):\n    time.sleep(30)\n"
    client = connect("py/hi")
    with hosted(held) as host:
        client.publish_all("py", list(range(10)))
        host.wait_for("Executing 'Functions.sayhi3'")
        host.process.kill()
        host.process.wait()
        host.wait_for_nothing_left()
        host.process.returncode = 0  # as it was meant
    with hosted(NUMBERED):
        assert client.wait_for(10) == list(range(10))


def test_messages_wait_while_the_host_is_away(hosted, connect):
    with hosted(NUMBERED):
        pass  # it has made its session
    client = connect("py/hi")
    client.publish_all("py", list(range(1500)))  # more than brokers keep by default
    with hosted("def handler(event, context):\n    return event\n"):
        assert client.wait_for(1500) == list(range(1500))


def test_a_broker_that_is_restarted(hosted, connect, broker):
    with hosted(NUMBERED) as host:
        client = connect("py/hi")
        client.publish("py", 1)
        client.wait_for(1)
        broker.stop()
        host.wait_for("is not connected to")
        broker.start()
        host.wait_for("Connected to", count=2)
        again = connect("py/hi")
        again.publish("py", 2)
        assert again.wait_for(1) == [2]


def test_a_network_that_is_cut_while_a_function_runs(hosted, connect, broker):
    # The reply is published when the network is back, once: the message comes again and is known.
    handler = """
        import os, time

        def handler(event, context):
            with open(event["file"], "a") as file:
                file.write("begun\\n")
            while not os.path.exists(event["file"] + ".go"):
                time.sleep(0.01)
            return "done"
        """
    network = Proxy(broker.port)
    try:
        with hosted(handler, hub=f"tcp://127.0.0.1:{network.port}") as host:
            client = connect("py/hi")
            file = str(host.temporary / "calls")
            client.publish("py", {"file": file})
            wait_until(lambda: os.path.exists(file), "the call")
            network.cut()
            host.wait_for("is not connected to")
            network.repair()
            host.wait_for("Connected to", count=2)
            Path(file + ".go").touch()
            assert client.wait_for(1) == ["done"]
            client.publish("py", {"file": file})
            assert client.wait_for(2) == ["done", "done"]
            assert Path(file).read_text() == "begun\n" * 2
    finally:
        network.close()


def test_replies_that_could_not_be_sent_are_sent_later(hosted, connect, broker, tmp_path):
    network, cut = Proxy(broker.port), tmp_path / "cut"
    waits = f"    while not os.path.exists({str(cut)!r}): time.sleep(0.01)\n"
    handler = f"import os, time\n\ndef handler(event, context):\n{waits}    return event\n"
    try:
        with hosted(handler, hub=f"tcp://127.0.0.1:{network.port}") as host:
            client = connect("py/hi")
            client.publish("py", 1)
            host.wait_for("Executing")
            network.cut()
            cut.touch()
            host.wait_for("Executed 'Functions.sayhi3' \\(Succeeded")
            assert client.received == []
            network.repair()
            host.wait_for("Connected to", count=2)
            assert client.wait_for(1) == [1]
    finally:
        network.close()


def test_a_handler_that_hangs_is_replaced_and_its_message_tried_again(hosted, connect):
    handler = """
        import os, time

        def handler(event, context):
            if "hang" in event:
                time.sleep(60)
            return os.getpid()
        """
    rules = [rule(retry={"max": 2})]
    with hosted(handler, rules=rules, instance={"max": 1, "timeout": "700ms"}) as host:
        client = connect("py/hi")
        [first] = host.worker_pids()
        client.publish("py", {"hang": True})
        client.publish("py", {})
        failed, pid = client.wait_for(2)
        assert failed["errorType"] == "FunctionTimeout"
        assert pid != first


def test_an_async_handler_that_takes_too_long_is_cancelled_and_costs_no_process(hosted, connect):
    handler = """
        import asyncio, os

        async def handler(event, context):
            if "hang" in event:
                await asyncio.sleep(60)
            return os.getpid()
        """
    with hosted(handler, rules=[rule(retry={"max": 1})], instance={"timeout": "500ms"}) as host:
        client = connect("py/hi")
        [first] = host.worker_pids()
        client.publish("py", {"hang": True})
        client.publish("py", {})
        failed, pid = client.wait_for(2)
        assert failed["errorType"] == "FunctionTimeout"
        assert pid == first


@pytest.mark.parametrize(
    ("end", "kind"), [("os._exit(3)", "WorkerLost"), ("sys.exit(3)", "SystemExit"), ("os.abort()", "WorkerLost")]
)
def test_a_handler_that_exits(hosted, connect, end, kind):
    handler = f"import os, sys\n\ndef handler(event, context):\n    if event:\n        {end}\n    return 'alive'\n"
    with hosted(handler, rules=[rule(retry={"max": 2})]):
        client = connect("py/hi")
        client.publish("py", {"end": True})
        client.publish("py", "")
        failed, alive = client.wait_for(2)
        assert failed["errorType"] == kind
        assert alive == "alive"


@pytest.mark.parametrize("payload", [b"\xff\xfe\x00", b"[1, 2", b'{"a": NaN', b"[" * 100_000])
def test_payloads_that_are_no_json_reach_the_handler_as_bytes(hosted, connect, payload):
    with hosted("def handler(event, context):\n    return event if isinstance(event, bytes) else repr(event)\n"):
        client = connect("py/hi")
        client.publish("py", payload)
        client.wait_for(1)
        assert client.received == [("py/hi", payload)]


def test_large_payloads_pass(hosted, connect):
    with hosted():
        client = connect("py/hi")
        payload = os.urandom(3 * 1024 * 1024)
        client.publish("py", payload)
        client.wait_for(1)
        assert client.received == [("py/hi", payload)]


def test_a_message_that_is_larger_than_the_service_takes(hosted, connect):
    with hosted(message_length="1k"):
        client = connect("py/hi")
        client.publish("py", b"x" * 1025)
        client.publish("py", b"x" * 1024)
        refused, _ = client.wait_for(2)
        assert "1024" in refused["errorMessage"]
        assert client.received[1] == ("py/hi", b"x" * 1024)


def test_a_reply_that_is_larger_than_the_broker_takes(hosted, tmp_path, broker):
    small = Mosquitto(tmp_path / "small", {"test": ("hahaha", ["readwrite #"])}, ["max_packet_size 2000"])
    small.start()
    try:
        handler = "def handler(event, context):\n    return 'x' * event\n"
        with hosted(handler, hub=small.address) as host, clients(small.port) as connect:
            client = connect("py/hi")
            client.publish("py", 5000)
            host.wait_for("the reply of sayhi3 to py/hi is lost: 5002 bytes are more than the 2000")
            client.publish("py", 3)
            assert client.wait_for(1) == ["xxx"]
    finally:
        small.stop()


def test_a_wrong_password_is_told_once_and_tried_again(hosted, connect):
    with hosted(hub_settings={"password": "wrong"}, ready="Functions:") as host:
        told = host.wait_for(r"rule-py is not connected to .*")
        assert "not authorized" in told[0]
        assert host.process.poll() is None


def test_a_reply_that_is_denied_is_told_and_holds_nothing_up(hosted, connect):
    rules = [rule(reply="denied")]
    with hosted(rules=rules, hub_settings={"username": "guest", "password": "guest"}) as host:
        client = connect()
        client.publish("py", 1)
        host.wait_for("the reply of sayhi3 to denied is lost: not authorized")
        client.publish("py", 2)
        host.wait_for("the reply of sayhi3 to denied is lost: not authorized", count=2)


def test_a_handler_that_cannot_be_imported_is_told_and_can_be_repaired(hosted, connect, tmp_path):
    with hosted("import nothing_like_this\n", rules=[rule(retry={"max": 1})]) as host:
        told = host.wait_for(r"get.py:1: ModuleNotFoundError: .*\n.*")
        assert "func pack --target" in told[0]
        client = connect("py/hi")
        client.publish("py", {})
        assert "nothing_like_this" in client.wait_for(1)[0]["errorMessage"]
        (code_folder(tmp_path / "app") / "get.py").write_text("def handler(event, context):\n    return 'repaired'\n")
        host.wait_for("Worker process started")
        client.publish("py", {})
        assert client.wait_for(2)[1] == "repaired"
