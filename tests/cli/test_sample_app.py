"""The sample app: its functions do what its readme promises."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
SAMPLE = REPOSITORY / "sample_app"

CALLS = [
    ["HttpTrigger", {"params": {"name": "Ada"}}],
    ["HttpTrigger", {"body": '{"name": "Ada"}'}],
    ["HttpTrigger", {}],
    ["AsyncTrigger", {"params": {"name": "Ada"}}],
    ["PlaceOrder", {"body": '{"item": "tea"}'}],
    ["PlaceOrder", {"body": "no JSON"}],
    ["GetOrder", {"route_params": {"id": "1"}}],
    ["GetOrder", {"route_params": {"id": "7"}}],
    ["Fail", {}],
]

# Calls functions without a worker, and so without extensions, in a process of its own: the app configures an
# extension for the whole process that imports it.
CALLER = """
import asyncio, inspect, json, sys
import azure.functions as func
from function_app import app

functions = {function.get_function_name(): function.get_user_function() for function in app.get_functions()}
answers = []
for name, request in json.load(sys.stdin):
    body = request.pop("body", "").encode()
    try:
        response = functions[name](func.HttpRequest("POST", "/", body=body, **request))
        if inspect.isawaitable(response):
            response = asyncio.run(response)
        answers.append([response.status_code, response.get_body().decode()])
    except Exception as error:
        answers.append(repr(error))
print(json.dumps({"names": list(functions), "answers": answers, "extensions": func.ExtensionMeta._info}))
"""


@pytest.fixture(scope="module")
def sample():
    finished = subprocess.run(
        [sys.executable, "-B", "-c", CALLER],
        cwd=SAMPLE,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(str(REPOSITORY / "extensions" / name) for name in ("timer", "telemetry")),
        },
        input=json.dumps(CALLS),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_every_function_is_in_the_readme(sample):
    readme = (SAMPLE / "readme.md").read_text()
    assert set(sample["names"]) == {"HttpTrigger", "AsyncTrigger", "PlaceOrder", "GetOrder", "Fail"}
    assert all(f"| `{name}` |" in readme for name in sample["names"])


def test_it_uses_the_extension_and_turns_extensions_on(sample):
    assert sample["extensions"] == {"AppExtension": ["OpenCensusExtension", "TimerExtension"]}
    settings = json.loads((SAMPLE / "local.settings.json").read_text())
    assert settings["Values"]["PYTHON_ENABLE_WORKER_EXTENSIONS"] == "1"
    assert json.loads((SAMPLE / "host.json").read_text())["version"] == "2.0"


def test_answers(sample):
    assert sample["answers"] == [
        [200, "Hello, Ada. This HTTP triggered function executed successfully."],
        [200, "Hello, Ada. This HTTP triggered function executed successfully."],
        [
            200,
            "This HTTP triggered function executed successfully. "
            "Pass a name in the query string or in the request body for a personalized response.",
        ],
        [200, "Hello, Ada. This HTTP triggered function executed successfully."],
        [201, "Order 1: tea"],
        [400, 'Send a JSON object such as {"item": "tea"}.'],
        [200, "Order 1: tea"],
        [404, "There is no order 7."],
        "RuntimeError('This function always fails.')",
    ]
