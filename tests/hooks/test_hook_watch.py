"""Hooks that take too long are named while they do."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest
from support.invoking import DEADLINE

from worker_ext import AppExtensionBase
from worker_ext.worker import hook_watch
from worker_ext.worker.hook_watch import slow_after


def define(pre=None, around=None):
    body = {"pre_invocation_app_level": pre, "around_invocation_app_level": around}
    return type("Slow", (AppExtensionBase,), {name: classmethod(hook) for name, hook in body.items() if hook})


@pytest.fixture
def told(make_worker, extensions):
    """Invoke a function with a slow hook until somebody is told, which lets the hook go on."""

    def told(function, release, *, slow="0.05"):
        worker = make_worker(environ={"WORKER_EXT_SLOW_HOOK_SECONDS": slow})
        lines = []

        def ship(owner, records):
            lines.extend((owner, record) for record in records)
            release()

        worker.ship = ship
        assert worker.invoke(worker.load(function)).error is None
        return lines

    return told


def sync(req, context):
    pass


async def on_loop(req, context):
    pass


def test_a_hook_on_a_pool_thread(told):
    released = threading.Event()
    define(pre=lambda cls, logger, context, func_args: released.wait(DEADLINE))
    ((owner, line),) = told(sync, released.set)
    assert (owner, line.level, line.name) == ("1", logging.WARNING, "worker_ext")
    assert line.message.startswith("Slow.pre_invocation_app_level has been running for 0.")
    assert line.message.endswith(" s, for HttpTrigger (Id=1)")


@pytest.mark.parametrize("function", [sync, on_loop])
def test_an_async_hook_that_waits(told, function):
    released = threading.Event()

    async def pre(cls, logger, context, func_args):
        while not released.is_set():
            await asyncio.sleep(0.001)

    define(pre=pre)
    ((_, line),) = told(function, released.set)
    assert "has been running for" in line.message


@pytest.mark.parametrize("form", ["sync", "async", "around"])
def test_a_hook_that_blocks_the_event_loop(told, form):
    released = threading.Event()

    def wait(*arguments):
        released.wait(DEADLINE)

    async def wait_async(*arguments):
        released.wait(DEADLINE)

    def around(cls, logger, context, func_args):
        result = yield
        released.wait(DEADLINE)
        return result

    define(**{"around": around} if form == "around" else {"pre": wait if form == "sync" else wait_async})
    ((_, line),) = told(on_loop, released.set, slow="1000")
    hook = "around" if form == "around" else "pre"
    assert line.message.startswith(f"Slow.{hook}_invocation_app_level has blocked the event loop for 0.")
    assert "asyncio.to_thread" in line.message


def test_what_runs_inside_an_around_hook_does_not_count(make_worker, extensions):
    around_is_slow = threading.Event()

    def around(cls, logger, context, func_args):
        yield

    async def around_async(cls, logger, context, func_args, call_next):
        await call_next()

    define(around=around)
    define(around=around_async)
    worker = make_worker(environ={"WORKER_EXT_SLOW_HOOK_SECONDS": "0.02"})
    worker.ship = lambda owner, records: around_is_slow.set()
    worker.invoke(worker.load(lambda req, context: time.sleep(0.2)))
    assert not around_is_slow.is_set()


def test_an_async_hook_that_waits_while_something_else_blocks_the_loop_is_not_blamed(make_worker, extensions):
    worker = make_worker(environ={"WORKER_EXT_SLOW_HOOK_SECONDS": "1000"})
    lines, blocked = [], asyncio.Event()
    worker.ship = lambda owner, records: lines.extend(records)

    async def pre(cls, logger, context, func_args):
        if func_args["req"] == "waits":
            await blocked.wait()

    async def main(req, context):
        if req == "blocks":
            await asyncio.sleep(0)
            time.sleep(0.4)
            blocked.set()

    define(pre=pre)
    function = worker.load(main)

    async def both():
        await asyncio.gather(worker.start(function, "waits"), worker.start(function, "blocks"))

    worker.run(both())
    assert lines == []


def test_once_a_minute(worker, trace):
    """With a clock of the test's own, and no thread."""
    extension = define(pre=lambda *arguments: None)
    (hook,) = worker.registry.hooks_for(worker.load(trace.function("sync"))).before
    running, lines = [], []
    watch = hook_watch.HookWatch(
        worker.loop, lambda: running, lambda invocation: None, lambda invocation, line: lines.append(line), 1.0
    )

    worker.invoke(worker.load(sync))
    running.append(worker.latest)
    worker.latest.at = hook
    for now in (100.0, 100.5, 101.0, 130.0, 160.9, 161.1, 200.0):
        assert watch.look(now)
    assert [line.message.split(",")[0] for line in lines] == [
        "Slow.pre_invocation_app_level has been running for 1.0 s",
        "Slow.pre_invocation_app_level has been running for 61.1 s",
    ]
    worker.latest.at = None
    assert not watch.look(201.0)
    assert extension


@pytest.mark.parametrize(("text", "seconds"), [("", 1.0), ("0.5", 0.5), ("0", float("inf")), ("x", 1.0), ("-1", 1.0)])
def test_the_threshold_is_a_setting(text, seconds):
    assert slow_after({"WORKER_EXT_SLOW_HOOK_SECONDS": text}) == seconds
