"""Asks a web server for its headers, with the `requests` that was unpacked beside this file."""

import os

import requests
from python_worker_extension_timer import TimerExtension

TimerExtension.configure(append_to_http_response=False)

SITE = os.environ.get("SITE", "http://localhost:8000")


def handler(event, context):
    """data: {"action": "A"}"""
    if "action" not in event:
        event["error"] = "action not found"
    elif event["action"] != "A":
        event["info"] = "action error"
    else:
        answer = requests.get(SITE, timeout=5)
        event["info"] = dict(answer.headers) if answer.status_code == 200 else "exception found"
    return event
