"""``on_log``: lines of user code are seen, enriched, redacted or dropped before they leave the worker."""

from __future__ import annotations

import logging

import pytest
from support.invoking import captured

from worker_ext import AppExtensionBase, FuncExtensionBase

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


def main_of(kind, call):
    async def main(req, context):
        call()

    return (lambda req, context: call()) if kind == "sync" else main


@kinds
def test_a_line_is_seen_enriched_redacted_and_dropped(worker, extensions, kind):
    seen = []

    class Log(AppExtensionBase):
        @classmethod
        def on_log(cls, record):
            seen.append((record.level, record.name, record.message, record.context.function_name))
            if "noise" in record.message:
                return False
            record.message = record.message.replace("hunter2", "***")
            record.name = f"{record.name}!"
            record.level = logging.ERROR

    def main():
        for text in ("plain", "noise", "password hunter2"):
            logging.getLogger("app").info(text)

    answer = worker.invoke(worker.load(main_of(kind, main)))
    assert answer.lines == [(logging.ERROR, "app!", "plain"), (logging.ERROR, "app!", "password ***")]
    assert seen[0] == (logging.INFO, "app", "plain", "HttpTrigger")


@kinds
def test_printed_lines_too(worker, extensions, kind):
    class Log(AppExtensionBase):
        @classmethod
        def on_log(cls, record):
            record.message = record.message.upper()

    with captured(worker):
        answer = worker.invoke(worker.load(main_of(kind, lambda: print("one\nand a half", end=""))))
    assert answer.messages == ["ONE", "AND A HALF"]


def test_a_line_of_no_invocation_has_no_context(worker, extensions):
    class Log(AppExtensionBase):
        @classmethod
        def on_log(cls, record):
            record.message += f" of {record.context}"

    worker.load(lambda req, context: None)

    async def log():
        logging.getLogger("app").info("a line")

    worker.run(log())
    assert worker.messages() == ["a line of None"]


def test_a_function_level_one_sees_the_lines_of_its_functions_only(worker, extensions, tmp_path):
    class Log(FuncExtensionBase):
        def on_log(self, record):
            record.message += "!"

    Log(str(tmp_path / "One" / "__init__.py"))
    functions = [worker.load(main_of("sync", lambda: logging.getLogger("app").info("line")), n) for n in ("One", "Two")]
    assert [worker.invoke(function).messages for function in functions] == [["line!"], ["line"]]


def test_what_a_hook_logs_itself_is_not_its_own_business(worker, extensions):
    class Log(AppExtensionBase):
        @classmethod
        def on_log(cls, record):
            logging.getLogger("hook").info("saw %s", record.message)

    answer = worker.invoke(worker.load(main_of("sync", lambda: logging.getLogger("app").info("line"))))
    assert answer.messages == ["saw line", "line"]


@pytest.mark.parametrize("required", [False, True])
def test_one_that_fails_is_told_once_and_a_required_one_lets_nothing_pass(worker, extensions, required):
    def fail(cls, record):
        raise ValueError("no")

    def around(cls, logger, context, func_args):
        return (yield)

    hooks = {"on_log": classmethod(fail), "around_invocation_app_level": classmethod(around), "required": required}
    type("Redaction", (AppExtensionBase,), hooks)

    def main():
        logging.getLogger("app").info("first")
        logging.getLogger("app").info("second")

    function = worker.load(main_of("sync", main))
    failure, *others = worker.invoke(function).messages
    assert others == ([] if required else ["first", "second"])
    assert failure.startswith("on_log failed: ValueError('no'); such lines are ")
    assert worker.invoke(function).messages == others


def test_an_async_one_is_refused(worker, extensions):
    class Log(AppExtensionBase):
        @classmethod
        async def on_log(cls, record):
            pass

    worker.load(main_of("sync", lambda: None))
    (message,) = worker.messages()
    assert "is async def: lines come from any thread" in message


def test_without_one_lines_go_straight_on(worker, extensions):
    assert worker.logs.review is None

    class Log(AppExtensionBase):
        @classmethod
        def on_log(cls, record):
            pass

    function = worker.load(main_of("sync", lambda: None))
    assert worker.logs.review is not None
    Log.detach()
    worker.invoke(function)
    assert worker.logs.review is None
