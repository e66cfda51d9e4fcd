"""A log line that takes the short way says what it would have said on the long one."""

from __future__ import annotations

import logging

import pytest
from support.invoking import sole_handler

from worker_ext.worker import log_shortcut
from worker_ext.worker.logs import LogCollector

NAME = "parent.child"


class Unprintable:
    def __str__(self):
        raise RuntimeError("cannot be printed")


def configured(**settings):
    return lambda logger, handler: [setattr(logger, name, value) for name, value in settings.items()]


class Renaming(logging.Filter):
    def filter(self, record):
        record.name = "renamed"
        return True


LINES = {
    "plain": lambda log: log.info("text"),
    "arguments": lambda log: log.warning("%s took %.1f", "it", 1.25),
    "one argument": lambda log: log.error("%s", "100%"),
    "percent without arguments": lambda log: log.info("100% %s"),
    "a dict": lambda log: log.info("%(one)s", {"one": 1}),
    "not a string": lambda log: log.info({"one": 1}),
    "too few arguments": lambda log: log.info("%s %s", 1),
    "wrong argument": lambda log: log.info("%d", "one"),
    "cannot be printed": lambda log: log.info("%s", Unprintable()),
    "message cannot be printed": lambda log: log.info(Unprintable()),
    "debug": lambda log: log.debug("text"),
    "any level": lambda log: log.log(25, "text"),
    "critical": lambda log: log.critical("text"),
    "extra": lambda log: log.info("text", extra={"one": 1}),
    "an exception": lambda log: log.error("text", exc_info=ValueError("no")),
    "no exception": lambda log: log.info("text", exc_info=False),
}
SETTINGS = {
    "nothing": lambda logger, handler: None,
    "level": configured(level=logging.WARNING),
    "more": configured(level=logging.DEBUG),
    "disabled": configured(disabled=True),
    "not propagated": configured(propagate=False),
    "handler": lambda logger, handler: logger.addHandler(logging.NullHandler()),
    "filter": lambda logger, handler: logger.addFilter(Renaming()),
    "level of the handler": lambda logger, handler: handler.setLevel(logging.ERROR),
    "filter of the handler": lambda logger, handler: handler.addFilter(Renaming()),
    "formatter": lambda logger, handler: handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s")),
    "handler above": lambda logger, handler: logger.parent.addHandler(logging.NullHandler()),
    "filter above": lambda logger, handler: logger.parent.addFilter(Renaming()),
    "another handler": lambda logger, handler: logging.root.addHandler(logging.NullHandler()),
    "all disabled": lambda logger, handler: logging.disable(logging.WARNING),
}


@pytest.fixture
def installed(monkeypatch):
    """Installs the short way for a collector, until the test ends."""
    monkeypatch.setattr(logging.Logger, "_log", logging.Logger._log)
    return lambda collector: log_shortcut.install(collector, lambda line: collector.add(line))


def collect(setting, line, install=lambda collector: None):
    """What a collector takes while a logger is given some settings and writes a line."""
    log = logging.Logger._log
    for name in ("parent", NAME):
        logging.Logger.manager.loggerDict.pop(name, None)
    logging.getLogger("parent")
    logger = logging.getLogger(NAME)
    collector = LogCollector(None, None)
    lines = []
    collector.add = lines.append
    install(collector)
    with sole_handler(collector):
        SETTINGS[setting](logger, collector)
        LINES[line](logger)
    logging.Logger._log = log
    logging.disable(logging.NOTSET)
    return [(record.level, record.name, record.message) for record in lines]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_it_says_the_same(installed, setting, line):
    assert collect(setting, line, installed) == collect(setting, line)


def test_the_settings_do_make_a_difference():
    def all_lines(setting):
        return [collect(setting, line) for line in LINES]

    without = {setting for setting in SETTINGS if all_lines(setting) == all_lines("nothing")}
    assert without == {"nothing", "handler", "another handler", "handler above", "filter above"}


def _write(details):
    logging.getLogger("app.module").info("text", **details)


@pytest.mark.parametrize("stacklevel", [None, 1, 2])
def test_other_handlers_are_told_the_same_place(installed, stacklevel):
    details = {} if stacklevel is None else {"stacklevel": stacklevel}
    handler = logging.NullHandler()
    places = []
    handler.handle = lambda record: places.append((record.pathname, record.funcName))
    with sole_handler(handler):
        _write(details)
        installed(LogCollector(None, None))
        _write(details)
    assert places[0] == places[1]
    assert places[0][1] == ("_write" if stacklevel != 2 else "test_other_handlers_are_told_the_same_place")


@pytest.mark.parametrize("method", ["callHandlers", "handle", "makeRecord"])
def test_who_replaces_a_method_of_all_loggers_sees_every_record(installed, monkeypatch, method):
    """As libraries do that report errors and what led to them."""
    seen = []
    original = getattr(logging.Logger, method)

    def replacement(self, *arguments):
        seen.append(method)
        return original(self, *arguments)

    collector = LogCollector(None, None)
    collector.add = lambda line: None
    installed(collector)
    with sole_handler(collector):
        logging.info("straight")
        monkeypatch.setattr(logging.Logger, method, replacement)
        logging.info("the long way")
    assert seen == [method]


def test_no_record_is_made_where_nobody_would_see_it(installed, monkeypatch):
    made = []
    monkeypatch.setattr(logging.LogRecord, "__init__", lambda self, *arguments, **details: made.append(arguments))
    collector, lines = LogCollector(None, None), []
    collector.add = lines.append
    installed(collector)
    with sole_handler(collector):
        logging.info("%s", "one")
        logging.getLogger("app.module").warning("two")
    assert [(line.level, line.name, line.message) for line in lines] == [
        (logging.INFO, "root", "one"),
        (logging.WARNING, "app.module", "two"),
    ]
    assert made == []
