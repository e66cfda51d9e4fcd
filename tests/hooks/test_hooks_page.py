"""docs/hooks.md: its examples run, and do what the page says."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from worker_ext.hooks.hook import ARGUMENTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "hooks.md").read_text(encoding="utf-8")


@pytest.fixture
def page(extensions):
    """What the examples define, all together, in a process that has no other extensions."""
    namespace = {"__name__": "page", "setup": lambda **options: None}
    for block in re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL):
        exec(compile(block, "docs/hooks.md", "exec"), namespace)
    return SimpleNamespace(**namespace)


def test_every_hook_is_described():
    for name in ARGUMENTS:
        assert name.removesuffix("_app_level") in PAGE


def test_the_function_is_called_only_for_who_may(page, worker):
    function = worker.load(lambda req, context: "called")
    nobody, somebody = SimpleNamespace(headers={}), SimpleNamespace(headers={"authorization": "Bearer letmein"})
    assert worker.invoke(function, nobody).value.status_code == 401
    assert worker.invoke(function, somebody).value == "called"


def test_errors_limit_and_retry(page, worker):
    tries = []

    def find(req, context):
        raise LookupError("no such order")

    def connect(req, context):
        tries.append(req)
        raise ConnectionError("refused")

    page.Auth.detach()
    answer = worker.invoke(worker.load(find))
    assert (answer.value, answer.messages[-1]) == (None, "HttpTrigger found nothing: no such order")
    error = worker.invoke(worker.load(connect, "Queue", trigger="queueTrigger")).error
    assert str(error) == "Queue did not get through in 3 tries"
    assert len(tries) == 3


def test_redaction(page, worker):
    async def main(req, context):
        await asyncio.sleep(0)
        logging.info("login with Password=hunter2")
        logging.info("noise")

    page.Auth.detach()
    assert "login with Password=***" in worker.invoke(worker.load(main)).messages
    assert "noise" not in worker.invoke(worker.load(main)).messages


def test_scope(page, worker):
    page.Auth.detach()
    (orders,) = page.app.get_functions()
    names = {"orders": orders.get_user_function(), "NightlyReport": lambda req, context: None}
    lines = {name: worker.invoke(worker.load(call, name, parameters=frozenset({"req"}) if name == "orders" else
                                             frozenset({"req", "context"}))).messages
             for name, call in names.items()}  # fmt: skip
    assert lines == {"orders": ["orders is called"] * 2, "NightlyReport": ["NightlyReport is called"]}
    assert page.Cached.exclude == ["GetSecret", "GetToken"]
