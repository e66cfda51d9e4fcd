"""The threads that sync functions run on."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time

import pytest
from support.invoking import DEADLINE

from worker_ext.worker.executor import SIZE_SETTING, ThreadPool, pool_size

DEFAULT = min(32, (os.cpu_count() or 1) + 4)


class Blocked:
    """Tasks that wait until they are released, and note on which threads they run."""

    def __init__(self):
        self.threads = []
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.released = threading.Event()

    def __call__(self):
        self.threads.append(threading.current_thread())
        self.begun.release()
        self.released.wait(DEADLINE)
        self.ended.release()


def refuse(self):
    raise RuntimeError("can't start new thread")


@pytest.fixture
def pool():
    """Makes a pool, and lets its loop run until semaphores have been released so many times."""
    with asyncio.Runner() as runner:

        class Pool(ThreadPool):
            def __init__(self, size):
                super().__init__(runner.get_loop(), size)

            def wait(self, semaphore, count):
                async def acquire():
                    while not semaphore.acquire(blocking=False):
                        await asyncio.sleep(0)

                for _ in range(count):
                    runner.run(asyncio.wait_for(acquire(), DEADLINE))

        yield Pool


@pytest.mark.parametrize(("tasks", "threads"), [(1, 1), (2, 2), (4, 4), (5, 4), (50, 4)])
def test_it_grows_to_its_size_as_needed_and_finishes_all_there_is(pool, tasks, threads):
    pool, blocked = pool(4), Blocked()
    for _ in range(tasks):
        pool.submit(blocked)
    pool.wait(blocked.begun, threads)
    assert len(set(blocked.threads)) == len(blocked.threads) == threads
    blocked.released.set()
    pool.wait(blocked.ended, tasks)
    assert len(set(blocked.threads)) == threads


def test_a_task_that_comes_while_others_block_gets_a_thread(pool):
    pool, blocked = pool(10), Blocked()
    for running in range(1, 6):
        pool.submit(blocked)
        pool.wait(blocked.begun, 1)
        assert len(set(blocked.threads)) == running
    blocked.released.set()
    pool.wait(blocked.ended, 5)


def test_many_short_tasks_are_all_run(pool):
    pool, blocked = pool(10), Blocked()
    blocked.released.set()
    for _ in range(1000):
        pool.submit(blocked)
    pool.wait(blocked.ended, 1000)
    for _ in range(20):
        pool.submit(blocked)
        pool.wait(blocked.ended, 1)
    assert len(blocked.threads) == 1020


def test_sleeping_threads_are_woken_again(pool):
    pool, first = pool(4), Blocked()
    for _ in range(4):
        pool.submit(first)
    pool.wait(first.begun, 4)
    first.released.set()
    pool.wait(first.ended, 4)
    for _ in range(3):
        again = Blocked()
        for _ in range(4):
            pool.submit(again)
        pool.wait(again.begun, 4)
        again.released.set()
        pool.wait(again.ended, 4)
        assert set(again.threads) == set(first.threads)


def test_threads_do_not_keep_the_process_from_ending(pool):
    pool, blocked = pool(1), Blocked()
    blocked.released.set()
    pool.submit(blocked)
    pool.wait(blocked.ended, 1)
    assert blocked.threads[0].daemon


def test_a_task_that_raises_costs_no_thread(pool, caplog):
    pool, blocked = pool(1), Blocked()
    blocked.released.set()

    def fail():
        raise SystemExit("no")

    for task in (fail, fail, blocked):
        pool.submit(task)
    pool.wait(blocked.ended, 1)
    assert [record.exc_info[1].code for record in caplog.records] == ["no", "no"]


def test_the_threads_that_there_are_do_the_work_when_the_system_has_no_more(pool, monkeypatch):
    pool, first, rest = pool(3), Blocked(), Blocked()
    pool.submit(first)
    pool.wait(first.begun, 1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool.submit(rest)
        pool.submit(rest)
        first.released.set()
        rest.released.set()
        pool.wait(rest.ended, 2)
    assert set(first.threads) == set(rest.threads)


def test_a_task_that_no_thread_can_run_is_refused_and_not_run_later(pool, monkeypatch):
    pool, refused, accepted = pool(2), Blocked(), Blocked()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="no thread"):
            pool.submit(refused)
    accepted.released.set()
    pool.submit(accepted)
    pool.wait(accepted.ended, 1)
    assert refused.threads == []


@pytest.mark.parametrize(
    ("text", "size", "warned"),
    [
        ("", DEFAULT, False),
        (" ", DEFAULT, False),
        ("1", 1, False),
        (" 7 ", 7, False),
        ("1000", 1000, False),
        ("0", DEFAULT, True),
        ("-1", DEFAULT, True),
        ("1.5", DEFAULT, True),
        ("many", DEFAULT, True),
    ],
)
def test_the_size_is_a_setting(caplog, text, size, warned):
    assert pool_size({SIZE_SETTING: text}) == size
    assert [repr(text.strip()) in record.getMessage() for record in caplog.records] == [True] * warned
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_without_the_setting_the_size_is_pythons_own():
    assert pool_size({}) == DEFAULT


def test_a_closed_pool_runs_what_waits_and_lets_its_threads_end():
    with asyncio.Runner() as runner:
        pool = ThreadPool(runner.get_loop(), 4)
        running = []

        def task():
            running.append(threading.current_thread())

        for _ in range(20):
            pool.submit(task)
        pool.close()
        deadline = time.monotonic() + DEADLINE
        while len(running) < 20 or any(thread.is_alive() for thread in running):
            assert time.monotonic() < deadline
            time.sleep(0.001)
