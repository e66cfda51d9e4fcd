"""Threads and jobs serve the invocation of the code that started them."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from support.invoking import DEADLINE

from worker_ext.invocation import current_invocation
from worker_ext.worker import propagation


@pytest.fixture(autouse=True)
def installed():
    """The propagation, which outside of invocations nobody notices."""
    propagation.install()


class Overriding(threading.Thread):
    """Has a ``run`` of its own, and does not call that of its base."""

    def __init__(self, write):
        super().__init__()
        self._write = write

    def run(self):
        self._write()


class Slotted(threading.Thread):
    __slots__ = ("write",)

    def run(self):
        self.write()


def in_thread(write):
    run(threading.Thread(target=write))


def in_subclass(write):
    run(Overriding(write))


def in_slotted(write):
    thread = Slotted()
    thread.write = write
    run(thread)


def in_instance_with_own_run(write):
    thread = threading.Thread()
    thread.run = write
    run(thread)
    assert thread.run is write


def in_timer(write):
    run(threading.Timer(0, write))


def in_daemon_of_a_thread(write):
    def start_another():
        run(threading.Thread(target=write, daemon=True))

    run(threading.Thread(target=start_another))


def in_pool(write):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(write).result(DEADLINE)


def in_map_of_pool(write):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: write(), [1], timeout=DEADLINE))


def run(thread):
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive()


async def in_default_executor(write):
    await asyncio.get_running_loop().run_in_executor(None, write)


async def to_thread(write):
    await asyncio.to_thread(write)


async def in_pool_of_a_task(write):
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.to_thread(in_pool, write))


WAYS = [
    in_thread,
    in_subclass,
    in_slotted,
    in_instance_with_own_run,
    in_timer,
    in_daemon_of_a_thread,
    in_pool,
    in_map_of_pool,
    in_default_executor,
    to_thread,
    in_pool_of_a_task,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_lines_belong_to_the_invocation(worker, way):
    async def main_async(req, context):
        await way(lambda: logging.info("line of %s", req))

    def main(req, context):
        way(lambda: logging.info("line of %s", req))

    function = worker.load(main_async if asyncio.iscoroutinefunction(way) else main)
    for number in (1, 2):
        answer = worker.invoke(function, number)
        assert (answer.messages, answer.error) == ([f"line of {number}"], None)


@pytest.mark.parametrize("way", [way for way in WAYS if not asyncio.iscoroutinefunction(way)])
def test_outside_an_invocation_nothing_changes(way):
    seen = []
    way(lambda: seen.append(current_invocation.get()))
    assert seen == [None]


def test_a_thread_that_outlives_its_invocation_goes_on_under_its_id(worker):
    released = threading.Event()
    threads = []

    def main(req, context):
        threads.append(threading.Thread(target=lambda: (released.wait(DEADLINE), logging.info("late"))))
        threads[0].start()

    assert worker.invoke(worker.load(main)).lines == []

    async def wait():
        released.set()
        await asyncio.get_running_loop().run_in_executor(None, threads[0].join)

    worker.run(wait())
    assert worker.messages("1") == ["late"]


def test_a_pool_that_invocations_share_serves_each_in_turn(worker):
    with ThreadPoolExecutor(1) as pool:

        def main(req, context):
            pool.submit(logging.info, "line of %s", req).result(DEADLINE)

        function = worker.load(main)
        for number in (1, 2, 3):
            assert worker.invoke(function, number).messages == [f"line of {number}"]
        assert pool.submit(current_invocation.get).result(DEADLINE) is None


def test_other_context_variables_stay_as_python_has_them():
    variable = ContextVar("variable", default="default")
    variable.set("set")
    before, after = [], []
    thread = threading.Thread(target=lambda: before.append(variable.get()))
    run(thread)
    token = current_invocation.set(object())
    run(threading.Thread(target=lambda: after.append(variable.get())))
    current_invocation.reset(token)
    assert after == before


class TestNothingIsLeft:
    """No thread keeps an invocation, with its large body perhaps, in memory once it has served it."""

    class Invocation:
        """Stands for one."""

    @pytest.fixture(autouse=True)
    def without_collector(self):
        gc.disable()
        yield
        gc.enable()

    def serve(self, start):
        """Have some code start what serves an invocation, and give a weak reference to that."""
        invocation = self.Invocation()
        token = current_invocation.set(invocation)
        start()
        current_invocation.reset(token)
        return weakref.ref(invocation)

    @pytest.mark.parametrize("make", [lambda: threading.Thread(target=int), lambda: Overriding(int)])
    def test_in_a_thread_that_has_ended(self, make):
        thread = make()
        assert self.serve(lambda: run(thread))() is None
        assert "run" not in vars(thread)

    def test_in_a_pool(self):
        with ThreadPoolExecutor(1) as pool:
            invocation = self.serve(lambda: pool.submit(int).result(DEADLINE))
            pool.submit(int).result(DEADLINE)  # the thread has gone on
            assert invocation() is None

    def test_in_a_thread_that_cannot_be_started(self):
        thread = threading.Thread(target=int)
        run(thread)

        def start_again():
            with pytest.raises(RuntimeError, match="can only be started once"):
                thread.start()

        assert self.serve(start_again)() is None
        assert "run" not in vars(thread)
