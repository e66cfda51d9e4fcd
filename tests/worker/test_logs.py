"""Log lines: each arrives once, with the invocation whose code wrote it."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.invoking import DEADLINE, captured

from worker_ext.invocation import MOST_LINES, LogRecord
from worker_ext.worker import logs, propagation
from worker_ext.worker.logs import LINES_AT_ONCE, LONGEST_LINE, LogCollector

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


def of_kind(kind, function):
    async def main(req, context):
        return function(req, context)

    return function if kind == "sync" else main


class TestTime:
    @kinds
    def test_lines_come_with_the_answer(self, worker, kind):
        def main(req, context):
            logging.info("first")
            logging.getLogger("library").warning("second %s", 2)

        answer = worker.invoke(worker.load(of_kind(kind, main)))
        assert answer.lines == [
            LogRecord(logging.INFO, "root", "first"),
            LogRecord(logging.WARNING, "library", "second 2"),
        ]
        assert worker.messages("1") == []

    @kinds
    def test_of_a_long_invocation_they_come_ahead_of_it(self, worker, monkeypatch, kind):
        monkeypatch.setattr(logs, "PATIENCE", 0.001)
        arrived = threading.Event()
        worker.ship = lambda owner, lines: (worker.shipped.append((owner, lines)), arrived.set())

        def main(req, context):
            logging.info("early")
            assert arrived.wait(DEADLINE)
            logging.info("late")

        async def main_async(req, context):
            logging.info("early")
            while not arrived.is_set():
                await asyncio.sleep(0)
            logging.info("late")

        answer = worker.invoke(worker.load(main if kind == "sync" else main_async))
        assert worker.shipped == [("1", [LogRecord(logging.INFO, "root", "early")])]
        assert answer.messages == ["late"]

    def test_what_is_written_after_the_answer_goes_out_under_the_same_id(self, worker):
        released, written = threading.Event(), threading.Event()

        def main(req, context):
            async def linger():
                await asyncio.to_thread(released.wait, DEADLINE)
                logging.info("after the answer")
                written.set()

            tasks.append(asyncio.get_running_loop().create_task(linger()))
            logging.info("before")

        tasks = []
        answer = worker.invoke(worker.load(of_kind("async", main)))
        assert answer.messages == ["before"]
        released.set()
        worker.run(asyncio.wait(tasks))
        assert worker.messages("1") == ["after the answer"]

    def test_what_belongs_to_no_invocation_is_sent_soon(self, worker, monkeypatch):
        monkeypatch.setattr(logs, "PATIENCE", 0.001)

        async def main():
            logging.info("nobody's")
            while not worker.shipped:
                await asyncio.sleep(0)

        worker.run(main())
        assert worker.shipped == [("", LogRecord(logging.INFO, "root", "nobody's"))]

    def test_once_the_loop_has_closed_they_are_written_out(self, capfd, monkeypatch):
        monkeypatch.setattr(sys, "__stderr__", sys.stderr)
        loop = asyncio.new_event_loop()
        collector = LogCollector(loop, lambda owner, lines: pytest.fail("there is nobody to send them"))
        loop.close()
        for message in ("one", "two"):
            collector.add(LogRecord(logging.INFO, "", message))
        assert capfd.readouterr().err == "one\ntwo\n"


class TestOwner:
    def test_invocations_that_take_turns_on_the_loop_keep_their_own(self, worker):
        async def main(req, context):
            for _ in range(3):
                logging.info(req)
                await asyncio.sleep(0)

        function = worker.load(main)

        async def call_all():
            return await asyncio.gather(*(worker.start(function, str(number)) for number in range(10)))

        assert [answer.messages for answer in worker.run(call_all())] == [[str(n)] * 3 for n in range(10)]

    def test_tasks_write_for_the_invocation_that_started_them(self, worker):
        async def main(req, context):
            async def task():
                await asyncio.sleep(0)
                logging.info("task of %s", req)

            async with asyncio.TaskGroup() as group:
                group.create_task(task())
                asyncio.get_running_loop().call_soon(logging.info, "callback of %s", req)

        answer = worker.invoke(worker.load(main), 7)
        assert sorted(answer.messages) == ["callback of 7", "task of 7"]

    @pytest.mark.parametrize("started", ["before", "in the first"])
    def test_a_thread_may_claim_to_serve_an_invocation(self, worker, monkeypatch, started):
        """The SDK's own way, for a thread that serves one invocation after another; one of them may have started it."""
        for owner, name in ((threading.Thread, "start"), (ThreadPoolExecutor, "submit")):
            monkeypatch.setattr(owner, name, getattr(owner, name))
        propagation.install()
        jobs, done = [], threading.Semaphore(0)
        wake = threading.Semaphore(0)

        def serve():
            for _ in range(2):
                assert wake.acquire(timeout=DEADLINE)
                context = jobs.pop()
                context.thread_local_storage.invocation_id = context.invocation_id
                logging.info("for %s", context.invocation_id)
                done.release()

        def main(req, context):
            if not thread.is_alive():
                thread.start()
            jobs.append(context)
            wake.release()
            assert done.acquire(timeout=DEADLINE)

        thread = threading.Thread(target=serve)
        if started == "before":
            thread.start()
        function = worker.load(main)
        assert [worker.invoke(function).messages for _ in range(2)] == [["for 1"], ["for 2"]]
        thread.join()

    def test_a_claim_on_what_does_not_run_is_void(self, worker):
        def main(req, context):
            context.thread_local_storage.invocation_id = req
            logging.info("mine")

        function = worker.load(main)
        for claim in ("1", "nobody", "1"):
            assert worker.invoke(function, claim).messages == ["mine"]

    def test_a_claim_of_one_coroutine_does_not_bind_the_next(self, worker):
        """They share the loop's thread, and with it what is local to that thread."""

        async def main(req, context):
            context.thread_local_storage.invocation_id = context.invocation_id
            await asyncio.sleep(0)
            logging.info("of %s", req)

        function = worker.load(main)

        async def call_both():
            return await asyncio.gather(worker.start(function, 1), worker.start(function, 2))

        assert [answer.messages for answer in worker.run(call_both())] == [["of 1"], ["of 2"]]

    def test_a_logger_of_the_app_is_told_apart_by_its_name(self, worker):
        answer = worker.invoke(worker.load(lambda req, context: logging.getLogger("a.b").error("no")))
        assert answer.lines == [LogRecord(logging.ERROR, "a.b", "no")]


class TestText:
    def line(self, worker, write):
        (line,) = worker.invoke(worker.load(lambda req, context: write())).lines
        return line.message

    def test_tracebacks_are_part_of_it(self, worker):
        def write():
            try:
                raise ValueError("the reason")
            except ValueError:
                logging.exception("It failed")

        text = self.line(worker, write)
        assert text.startswith("It failed\nTraceback (most recent call last):\n")
        assert text.endswith("ValueError: the reason")

    def test_so_are_stacks(self, worker):
        assert "Stack (most recent call last):" in self.line(worker, lambda: logging.info("here", stack_info=True))

    def test_a_mistake_in_the_call_is_told_and_harms_nobody(self, worker):
        text = self.line(worker, lambda: logging.info("%d of %d", 1))
        assert text.startswith(f"the line '%d of %d' ({__file__}:")
        assert "cannot be formatted: TypeError(" in text

    def test_a_formatter_that_the_app_sets_is_used(self, worker):
        def write():
            for handler in logging.root.handlers:
                handler.setFormatter(logging.Formatter("<%(levelname)s> %(message)s"))
            logging.warning("text")

        assert self.line(worker, write) == "<WARNING> text"

    def test_so_is_a_filter(self, worker):
        def write():
            for handler in logging.root.handlers:
                handler.addFilter(lambda record: "secret" not in record.getMessage())
            logging.warning("a secret")
            logging.warning("no news")

        assert self.line(worker, write) == "no news"

    def test_a_filter_may_replace_a_record(self, worker):
        def write():
            replaced = logging.makeLogRecord({"msg": "another", "levelno": logging.INFO})
            logging.root.handlers[0].addFilter(lambda record: replaced)
            logging.info("text")

        assert self.line(worker, write) == ("another" if sys.version_info >= (3, 12) else "text")  # new in 3.12

    def test_a_line_has_a_greatest_length(self, worker):
        text = self.line(worker, lambda: logging.info("x" * (LONGEST_LINE + 1)))
        assert text == "x" * LONGEST_LINE + "... (1 more characters)"


class TestNumber:
    def test_many_lines_are_sent_in_portions_and_in_order(self, worker):
        portions = []
        worker.ship = lambda owner, lines: portions.append(lines)
        count = 2 * LINES_AT_ONCE + 50

        async def main(req, context):
            for number in range(count):
                logging.info("%d", number)

        answer = worker.invoke(worker.load(main))
        portions.append(answer.lines)
        assert [int(line.message) for portion in portions for line in portion] == list(range(count))
        assert max(map(len, portions)) == LINES_AT_ONCE

    @pytest.mark.parametrize("owned", [True, False])
    def test_when_they_cannot_be_sent_the_oldest_go(self, worker, owned):
        """An async function that never lets the loop turn."""

        def flood():
            for number in range(MOST_LINES + 1):
                worker.logs.add(LogRecord(logging.INFO, "", str(number)))

        async def main(req, context):
            flood()

        if owned:
            lines = worker.invoke(worker.load(main)).lines
        else:
            flood()
            lines = []
            worker.logs.flush_all()
        messages = [line.message for _, line in worker.shipped] + [line.message for line in lines]
        assert messages[0].startswith("older lines were left out")
        assert messages[1:] == [str(number) for number in range(1, MOST_LINES + 1)]

    def test_threads_that_write_at_once_lose_nothing(self, worker, monkeypatch):
        monkeypatch.setattr(logs, "PATIENCE", 0.0)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)

        def main(req, context):
            for number in range(200):
                logging.info("%s.%s", req, number)

        function = worker.load(main)

        async def call_all():
            return await asyncio.gather(*(worker.start(function, number) for number in range(8)))

        try:
            answers = worker.run(call_all())
        finally:
            sys.setswitchinterval(interval)
        worker.logs.flush_all()
        for number, answer in enumerate(answers):
            ahead = [line.message for owner, line in worker.shipped if owner == str(number + 1)]
            assert sorted(ahead + answer.messages) == sorted(f"{number}.{i}" for i in range(200))


class TestCapture:
    """What :func:`capture` routes here, whatever the app does to its logging."""

    def lines(self, worker, write):
        with captured(worker):
            return worker.invoke(worker.load(lambda req, context: write())).lines

    @pytest.mark.parametrize(("environ", "level"), [({}, "INFO"), ({"PYTHON_ENABLE_DEBUG_LOGGING": "1"}, "DEBUG")])
    def test_the_level_is_a_setting(self, worker, environ, level):
        with captured(worker, environ):
            assert logging.getLevelName(logging.root.level) == level

    def test_prints(self, worker):
        assert self.lines(worker, lambda: print("text", 1)) == [LogRecord(logging.INFO, "", "text 1")]
        assert self.lines(worker, lambda: print("x", file=sys.stderr)) == [LogRecord(logging.INFO, "", "x")]

    def test_warnings(self, worker):
        def warn():
            with warnings.catch_warnings():
                warnings.simplefilter("always")
                warnings.warn("old", DeprecationWarning, stacklevel=1)

        (line,) = self.lines(worker, warn)
        assert (line.level, line.name) == (logging.WARNING, "py.warnings")
        assert "DeprecationWarning: old" in line.message

    @pytest.mark.parametrize(
        "reconfigure",
        [
            lambda folder: None,
            lambda folder: logging.basicConfig(format="mine: %(message)s"),
            lambda folder: logging.basicConfig(force=True, level=logging.INFO, format="mine: %(message)s"),
            lambda folder: logging.basicConfig(force=True, level=logging.INFO, stream=sys.stdout),
            lambda folder: logging.basicConfig(force=True, level=logging.INFO, filename=folder / "log"),
            lambda folder: logging.config.dictConfig({"version": 1}),
            lambda folder: logging.config.dictConfig(
                {
                    "version": 1,
                    "handlers": {"console": {"class": "logging.StreamHandler"}},
                    "root": {"level": "INFO", "handlers": ["console"]},
                }
            ),
            lambda folder: logging.config.dictConfig(
                {
                    "version": 1,
                    "handlers": {"file": {"class": "logging.FileHandler", "filename": folder / "log"}},
                    "root": {"level": "INFO", "handlers": ["file"]},
                }
            ),
            lambda folder: logging.root.handlers.clear(),
            lambda folder: setattr(logging.root, "handlers", [logging.NullHandler()]),
            lambda folder: logging.root.removeHandler(logging.root.handlers[0]),
        ],
    )
    @pytest.mark.usefixtures("reconfigurable")
    def test_each_line_still_arrives_once(self, worker, tmp_path, reconfigure):
        def write():
            reconfigure(tmp_path)
            logging.getLogger(str(tmp_path)).info("of a library")
            logging.error("of the app")

        messages = [line.message for line in self.lines(worker, write)]
        assert len(messages) == 2, messages
        assert "of a library" in messages[0]
        assert "of the app" in messages[1]

    @pytest.fixture
    def reconfigurable(self, worker, monkeypatch):
        """The process's logging can be configured anew; the loggers and handlers of others are as before afterwards."""
        monkeypatch.setattr(logging, "shutdown", lambda handlers: worker.logs.close())
        for name in ("_handlers", "_handlerList"):
            monkeypatch.setattr(logging, name, getattr(logging, name).copy())
        loggers = [found for found in logging.root.manager.loggerDict.values() if isinstance(found, logging.Logger)]
        for logger in loggers:
            monkeypatch.setattr(logger, "disabled", logger.disabled)

    def test_what_does_not_reach_the_root_logger_does_not_arrive(self, worker):
        def write():
            logging.root.handlers.clear()
            logger = logging.getLogger("silenced")
            logger.propagate = False
            logger.addHandler(logging.NullHandler())
            logger.error("silenced")

        assert self.lines(worker, write) == []

    def test_a_level_that_the_app_gives_the_collector_counts_even_if_it_is_removed(self, worker):
        def write():
            worker.logs.setLevel(logging.ERROR)
            logging.root.handlers = [logging.NullHandler()]
            logging.info("not this")
            logging.error("this")

        assert [line.message for line in self.lines(worker, write)] == ["this"]
