"""Rules: quality of service, order, retries, error messages, pools, shared subscriptions."""

from __future__ import annotations

import base64

import pytest
from support.baetyl import code_folder, rule, write_baetyl_app
from support.hosting import running_host, wait_until

SLOW = """
import time

def handler(event, context):
    time.sleep(event["s"])
    return event["n"]
"""
FAILS = """
def handler(event, context):
    raise ValueError(f"no {event['wish']} today")
"""
COUNTS = """
import os

def handler(event, context):
    return {"qos": context["messageQOS"], "topic": context["messageTopic"], "pid": os.getpid()}
"""


@pytest.mark.parametrize(("published", "subscribed", "replied"), [(0, 1, 1), (1, 0, 1), (1, 1, 0), (1, 1, 1)])
def test_a_message_of_every_quality_of_service_is_answered(hosted, connect, published, subscribed, replied):
    rules = [rule() | {"subscribe": {"topic": "py", "qos": subscribed}, "publish": {"topic": "py/hi", "qos": replied}}]
    with hosted(COUNTS, rules=rules):
        client = connect("py/hi")
        client.publish("py", {}, published)
        [reply] = client.wait_for(1)
    assert reply["qos"] == min(published, subscribed)
    assert reply["topic"] == "py"


def test_the_messages_of_a_topic_keep_their_order(hosted, connect):
    # The first takes longest: without order it would come last.
    with hosted(SLOW, instance={"max": 4}):
        client = connect("py/hi")
        client.publish_all("py", [{"n": n, "s": 0.2 if n == 0 else 0} for n in range(20)])
        assert client.wait_for(20) == list(range(20))


def test_different_topics_do_not_wait_for_each_other(hosted, connect):
    with hosted(SLOW, rules=[rule(topic="in/+")], instance={"min": 2, "max": 2}) as host:
        host.wait_for("Worker process started", count=2)
        client = connect("py/hi")
        client.publish("in/slow", {"n": "slow", "s": 3})
        client.publish("in/fast", {"n": "fast", "s": 0})
        assert client.wait_for(2) == ["fast", "slow"]


def test_a_rule_may_allow_concurrency(hosted, connect):
    with hosted(SLOW, rules=[rule(concurrency=3)], instance={"min": 3, "max": 3}) as host:
        host.wait_for("Worker process started", count=3)
        client = connect("py/hi")
        client.publish_all("py", [{"n": n, "s": s} for n, s in enumerate([3, 0.6, 0.01])])
        assert client.wait_for(3) == [2, 1, 0]


def test_all_instances_of_a_pool_work(hosted, connect):
    handler = "import os, time\n\ndef handler(event, context):\n    time.sleep(1)\n    return os.getpid()\n"
    with hosted(handler, rules=[rule(concurrency=10)], instance={"min": 4, "max": 4}) as host:
        host.wait_for("Worker process started", count=4)
        client = connect("py/hi")
        client.publish_all("py", list(range(4)))
        assert len(set(client.wait_for(4))) == 4


def test_instances_beyond_the_least_end_when_they_are_idle(hosted, connect):
    with hosted(SLOW, rules=[rule(concurrency=10)], instance={"min": 1, "max": 3, "idletime": "500ms"}) as host:
        client = connect("py/hi")
        client.publish_all("py", [{"n": n, "s": 1} for n in range(3)])
        client.wait_for(3)
        host.wait_for("Worker process started", count=3)
        wait_until(lambda: len(host.worker_pids()) == 1, "the end of the idle instances")
        client.publish("py", {"n": "again", "s": 0})
        assert client.wait_for(4)[3] == "again"


def test_no_reply_for_none_and_nothing_else_is_held_up(hosted, connect):
    with hosted("def handler(event, context):\n    return event or None\n"):
        client = connect("py/hi")
        client.publish("py", {})
        client.publish("py", "")
        client.publish("py", {"n": 1})
        assert client.wait_for(1) == [{"n": 1}]


def test_a_rule_without_a_publish_topic_calls_the_function(hosted, connect, tmp_path):
    told = tmp_path / "told"
    handler = f"def handler(event, context):\n    open({str(told)!r}, 'w').write(event)\n    return event\n"
    rules = [{"clientid": "quiet", "subscribe": {"topic": "py"}, "function": {"name": "sayhi3"}}]
    with hosted(handler, rules=rules) as host:
        connect().publish("py", '"heard"')
        host.wait_for("Executed 'Functions.sayhi3' \\(Succeeded")
    assert told.read_text() == "heard"


@pytest.mark.parametrize("attempts", [1, 3])
def test_an_exception_costs_no_process_and_ends_in_an_error_message(hosted, connect, attempts):
    with hosted(FAILS, rules=[rule(retry={"max": attempts})]) as host:
        client = connect("py/hi")
        [pid] = host.worker_pids()
        client.publish("py", {"wish": "tea"})
        [reply] = client.wait_for(1)
        assert host.worker_pids() == [pid]
        host.wait_for("Executing 'Functions.sayhi3'", count=attempts)
        assert host.console.count("Executing 'Functions.sayhi3'") == attempts
    assert reply["errorType"] == "ValueError"
    assert reply["errorMessage"] == "ValueError: no tea today"
    message = reply["functionMessage"]
    assert (message["Topic"], message["QOS"], message["FunctionName"]) == ("py", 1, "sayhi3")
    assert base64.b64decode(message["Payload"]) == b'{"wish": "tea"}'


def test_a_message_that_succeeds_at_another_attempt_is_answered(hosted, connect):
    handler = """
        seen = []

        def handler(event, context):
            seen.append(event)
            if len(seen) < 3:
                raise RuntimeError("not yet")
            return len(seen)
        """
    with hosted(handler):
        client = connect("py/hi")
        client.publish("py", {})
        assert client.wait_for(1) == [3]


def test_what_json_cannot_say_is_an_error_message(hosted, connect):
    with hosted("def handler(event, context):\n    return {1, 2}\n", rules=[rule(retry={"max": 1})]):
        client = connect("py/hi")
        client.publish("py", {})
        assert client.wait_for(1)[0]["errorType"] == "TypeError"


def test_machines_share_a_rule(hosted, connect, broker, tmp_path):
    # Two hosts with a shared subscription: every message is worked on once, and both work.
    handler = "import os\n\ndef handler(event, context):\n    return [event, os.environ['MACHINE']]\n"
    shared = rule(topic="$share/machines/py", clientid="machine-{{.MACHINE}}")
    other = write_baetyl_app(tmp_path / "other", handler, hub=broker.address, rules=[shared])
    with hosted(handler, rules=[shared], environ={"MACHINE": "a"}) as first:
        with running_host(other, port=None, ready="Connected to", environ={"MACHINE": "b"}) as second:
            first.wait_for("as machine-a")
            second.wait_for("as machine-b")
            client = connect("py/hi")
            client.publish_all("py", list(range(40)))
            replies = client.wait_for(40)
    assert sorted(number for number, _ in replies) == list(range(40))
    assert {machine for _, machine in replies} == {"a", "b"}


def test_an_edit_takes_effect(hosted, connect, tmp_path):
    with hosted("def handler(event, context):\n    return 'before'\n") as host:
        client = connect("py/hi")
        client.publish("py", {})
        assert client.wait_for(1) == ["before"]
        (code_folder(tmp_path / "app") / "get.py").write_text("def handler(event, context):\n    return 'after'\n")
        host.wait_for("loaded anew")
        host.wait_for("Worker process started", count=2)
        client.publish("py", {})
        assert client.wait_for(2) == ["before", "after"]


def test_trace_context_and_functions_of_one_process(hosted, connect):
    handlers = {
        "one.py": "import os\n\ndef handler(event, context):\n"
        "    return [context.trace_context.trace_parent, context.trace_context.trace_state]\n",
        "two.py": "async def main(e, c):\n    return c['functionName']\n",
    }
    functions = {"first": "one.handler", "second": "two.main"}
    rules = [rule("first", "a", "replies"), rule("second", "b", "replies")]
    trace = {"traceparent": f"00-{'ab' * 16}-{'cd' * 8}-01", "tracestate": "vendor=1"}
    with hosted(handlers, functions=functions, rules=rules) as host:
        host.wait_for("Connected to", count=2)
        client = connect("replies")
        client.publish("a", {}, user_properties=trace)
        assert client.wait_for(1) == [list(trace.values())]
        assert client.properties[0] == trace
        client.publish("b", {})
        assert client.wait_for(2)[1] == "second"


def test_a_function_that_cannot_be_loaded_says_so_and_the_others_of_its_service_run(hosted, connect):
    functions = {"sayhi3": "get.handler", "lost": "nowhere.handler"}
    rules = [rule(), rule("lost", "in", "in/hi", retry={"max": 1})]
    with hosted(functions=functions, rules=rules) as host:
        host.wait_for(
            r"the function lost cannot be loaded: its handler is 'nowhere.handler', but there is no such file"
        )
        host.wait_for("lost cannot be called until its code is mended")
        client = connect("py/hi", "in/hi")
        client.publish("py", {"all": "well"})
        assert client.wait_for(1) == [{"all": "well"}]
        client.publish("in", 1)
        assert "nowhere.py: the function lost cannot be loaded" in client.wait_for(2)[1]["errorMessage"]


def test_a_reply_that_json_cannot_say_is_explained(hosted, connect):
    with hosted("def handler(event, context):\n    return {1}\n", rules=[rule(retry={"max": 1})]):
        client = connect("py/hi")
        client.publish("py", 1)
        [reply] = client.wait_for(1)
    assert reply["errorType"] == "TypeError"
    assert reply["errorMessage"].startswith("TypeError: what sayhi3 returned cannot be a reply: Object of type set")


def test_attempts_are_counted_and_an_edit_of_settings_is_noticed(hosted, connect, tmp_path):
    with hosted(FAILS) as host:
        connect().publish("py", {"wish": "tea"})
        host.wait_for(r"A message on py\. Attempt 3 of 3\.")
        (tmp_path / "app/var/db/baetyl/function-sayhi-conf/service.yml").touch()
        host.wait_for("function-sayhi-conf/service.yml changed: start the host anew to use it")
