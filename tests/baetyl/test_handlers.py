"""The handler's contract: events, contexts, replies, where handlers and their packages are found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.baetyl import code_folder, write_baetyl_app
from support.hosting import host_environ

from worker_ext.runtimes.baetyl.message import Message, encode_reply


def call(app: Path, function: str = "sayhi3", payload: Any = "", **environ: str) -> tuple[Any, str]:
    """Call a function with ``func call``; gives its reply, decoded if it is JSON, and what was told meanwhile."""
    data = payload if isinstance(payload, str) else json.dumps(payload)
    done = subprocess.run(
        [sys.executable, "-m", "worker_ext", "call", function, data, "--script-root", str(app)],
        capture_output=True,
        text=True,
        env=host_environ(environ),
        timeout=60,
    )
    assert done.returncode in (0, 1), done.stderr
    if done.returncode:
        return None, done.stderr
    return (json.loads(done.stdout) if done.stdout else None), done.stderr


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(json_values)
def test_an_event_is_the_value_of_its_json_and_a_reply_its_json(value):
    payload = json.dumps(value).encode()
    assert Message(payload).event() == value
    assert json.loads(encode_reply(value) or b"null") == value


@given(st.binary(), st.text(), st.sampled_from([0, 1]), st.integers(-(2**63), 2**63 - 1), st.text(), st.text())
def test_messages_pass_through_frames(payload, topic, qos, timestamp, trace_parent, trace_state):
    message = Message(payload, topic, qos, timestamp, trace_parent, trace_state)
    assert Message.unpack(message.pack()) == message


def test_an_empty_payload_is_an_empty_object_and_what_is_no_json_stays_bytes():
    assert Message(b"").event() == {}
    assert Message(b"\xff").event() == b"\xff"
    assert Message(b"{").event() == b"{"
    assert encode_reply(None) == b""
    assert encode_reply(b"\xff") == b"\xff"
    assert encode_reply("text") == b'"text"'


def test_the_context_is_a_dict_that_hooks_share(tmp_path):
    handler = """
        from worker_ext import AppExtensionBase

        class Marks(AppExtensionBase):
            @classmethod
            def pre_invocation_app_level(cls, logger, context, func_args, *args, **kwargs):
                context.mark = [context.function_name, context.invocation_id, sorted(func_args)]

        def handler(event, context):
            assert isinstance(context, dict)
            return [context, context.mark, context.trace_context.trace_parent]
        """
    (context, mark, trace), _ = call(write_baetyl_app(tmp_path, handler))
    assert context.keys() == {
        "messageQOS", "messageTopic", "messageTimestamp", "functionName", "functionInvokeID", "invokeid"
    }  # fmt: skip
    assert context["functionName"] == "sayhi3"
    assert mark == ["sayhi3", context["functionInvokeID"], ["context", "event"]]
    assert trace.split("-")[1] == context["invokeid"].replace("-", "")


def test_several_functions_relative_imports_and_packages_in_the_code_folder(tmp_path):
    handlers = {
        "__init__.py": "",
        "one.py": "from . import shared\nfrom .shared import bump\nimport requests\n\n"
        "def handler(event, context):\n    return [bump(), requests.MARK]\n",
        "two.py": "import shared\n\nasync def other_name(e, c):\n    return [e, c['functionName'], shared.__name__]\n",
        "shared.py": "count = 0\n\ndef bump():\n    global count\n    count += 1\n    return count\n",
        "deep/er.py": "from ..shared import bump\n\ndef handler(event, context):\n    return bump()\n",
        "requests/__init__.py": "MARK = 'unpacked'\n",  # wins over the one that is installed
        "json.py": "raise RuntimeError('it hides the standard library')\n",
    }
    functions = {"one": "one.handler", "two": "two.other_name", "deep": "deep.er.handler"}
    app = write_baetyl_app(tmp_path, handlers, functions=functions)
    assert call(app, "one")[0] == [1, "unpacked"]
    assert call(app, "two", {"a": 1})[0] == [{"a": 1}, "two", "shared"]
    assert call(app, "deep")[0] == 1


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def other(event, context): ...\n", "sayhi3 is to be handler(), which this file does not define"),
        ("def handler(event): ...\n", "cannot be called with an event and a context"),
        ("def handler(:\n", "get.py:1: SyntaxError"),
        ("raise SystemExit(2)\n", "the module ended the process with exit status 2"),
    ],
)
def test_handlers_that_cannot_be_loaded_are_explained(tmp_path, source, told):
    assert told in call(write_baetyl_app(tmp_path, source))[1]


def test_a_handler_whose_file_does_not_exist(tmp_path):
    app = write_baetyl_app(tmp_path)
    (code_folder(app) / "get.py").unlink()
    assert "its handler is 'get.handler', but there is no such file" in call(app)[1]


def test_a_function_that_does_not_exist_or_fails(tmp_path):
    app = write_baetyl_app(tmp_path, "def handler(event, context):\n    raise KeyError('lost')\n")
    assert "there is no function 'nobody'\n  There are: sayhi3" in call(app, "nobody")[1]
    reply, told = call(app)
    assert reply is None
    assert "KeyError: 'lost'" in told


def test_extensions_made_for_azure_run_unchanged(tmp_path):
    handler = """
        import logging
        from python_worker_extension_timer import TimerExtension

        TimerExtension.configure(append_to_http_response=False)

        from azure.functions import FuncExtensionBase

        class Beside(FuncExtensionBase):
            def __init__(self, file_path):
                super().__init__(file_path)

            def post_invocation(self, logger, context, func_args, func_ret, *args, **kwargs):
                logger.info("reply %s of %s", func_ret, context.function_name)

        Beside(__file__)

        def handler(event, context):
            logging.info("at work")
            return {"is": "done"}
        """
    app = write_baetyl_app(tmp_path, handler)
    reply, told = call(app)
    assert reply == {"is": "done"}
    assert "at work" in told
    assert "[Beside] reply {'is': 'done'} of sayhi3" in told
    assert "[TimerExtension]" in told
    assert "TimerExtension" not in call(app, PYTHON_ENABLE_WORKER_EXTENSIONS="0")[1]
