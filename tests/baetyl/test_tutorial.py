"""The tutorial's folder as its reader has it, against a broker with the tutorial's user."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest
from support.baetyl import rule, write_baetyl_app
from support.hosting import free_port, running_host
from support.mqtt import clients

GET = """
#!/usr/bin/env python3
# -*- coding: utf-8 -*-

import requests

def handler(event, context):
  if 'action' in event:
    if event['action'] == 'A':
      r = requests.get('{url}')
      if str(r.status_code) == '200':
        event['info'] = dict(r.headers)
      else:
        event['info'] = 'exception found'
    else:      event['info'] = 'action error'
  else:
    event['error'] = 'action not found'

  return event
"""


@pytest.fixture
def website() -> Iterator[str]:
    """A web server that the handler can ask."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("X-Site", "baetyl")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_message_on_py_is_answered_on_py_hi(hosted, connect, website):
    rules = [{**rule(qos=0), "subscribe": {"topic": "py"}, "publish": {"topic": "py/hi"}}]
    with hosted(GET.format(url=website), rules=rules, instance={"min": 0, "max": 10, "idletime": "1m"}):
        client = connect("py/hi", modern=False)
        client.publish("py", {"action": "A"})
        client.publish("py", {"action": "B"})
        client.publish("py", {"neither": 1})
        found, other, missing = client.wait_for(3)
    assert found["action"] == "A"
    assert found["info"]["X-Site"] == "baetyl"
    assert other == {"action": "B", "info": "action error"}
    assert missing == {"neither": 1, "error": "action not found"}


def test_one_command_is_enough_for_a_first_try(tmp_path, website):
    port = free_port()
    app = write_baetyl_app(tmp_path, GET.format(url=website), listen=port)
    with running_host(app, port=None, ready="Connected to") as host:
        assert f"The embedded hub listens on tcp://127.0.0.1:{port}; it is for a first try" in host.console
        with clients(port) as connect:
            client = connect("py/hi", modern=False)
            client.publish("py", {"action": "A"})
            assert client.wait_for(1)[0]["info"]["X-Site"] == "baetyl"
        assert host.stop() == 0
        host.wait_for_nothing_left()
