"""The logger of hooks does what the logger of that name would do, only faster."""

from __future__ import annotations

import logging

import pytest
from support.invoking import sole_handler

from worker_ext.hooks.logger import hook_logger
from worker_ext.worker.logs import LogCollector

NAME = "an extension"


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
    "another handler": lambda logger, handler: logging.root.addHandler(logging.NullHandler()),
    "all disabled": lambda logger, handler: logging.disable(logging.WARNING),
}


@pytest.fixture
def collected():
    """What a collector takes while a logger of a kind is given some settings and writes a line."""

    def collect(get_logger, setting, line):
        logger = get_logger(NAME)
        collector = LogCollector(None, None)
        lines = []
        collector.add = lines.append
        with sole_handler(collector):
            SETTINGS[setting](logging.getLogger(NAME), collector)
            LINES[line](logger)
        logging.disable(logging.NOTSET)
        del logging.Logger.manager.loggerDict[NAME]
        return [(record.level, record.name, _without_place(record.message)) for record in lines]

    return collect


def _without_place(message):
    return message.partition(" (")[0] if "cannot be formatted" in message else message


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("setting", SETTINGS)
def test_like_the_named_logger(collected, setting, line):
    assert collected(hook_logger, setting, line) == collected(logging.getLogger, setting, line)


def test_the_settings_do_make_a_difference(collected):
    def all_lines(setting):
        return [collected(hook_logger, setting, line) for line in LINES]

    without = {setting for setting in SETTINGS if all_lines(setting) == all_lines("nothing")}
    assert without == {"nothing", "handler", "another handler"}


def test_what_is_set_on_either_is_set_on_both():
    named, logger, another = logging.getLogger(NAME), hook_logger(NAME), hook_logger(NAME)
    logger.setLevel("ERROR")
    assert [found.getEffectiveLevel() for found in (named, another)] == [logging.ERROR] * 2
    assert not another.isEnabledFor(logging.WARNING)
    named.setLevel(logging.NOTSET)
    assert logger.isEnabledFor(logging.WARNING)


def test_an_app_that_has_loggers_of_its_own_class_keeps_them(monkeypatch):
    class Own(logging.Logger):
        pass

    monkeypatch.setattr(logging.Logger.manager, "loggerClass", Own)
    assert type(hook_logger("another extension")) is Own
    assert hook_logger("root") is logging.root


@pytest.mark.parametrize("stacklevel", [None, 1, 2])
def test_other_handlers_are_told_the_same_place(stacklevel):
    details = {} if stacklevel is None else {"stacklevel": stacklevel}
    handler = logging.NullHandler()
    places = []
    handler.handle = lambda record: places.append((record.pathname, record.funcName, record.lineno))

    def write(logger):
        logger.info("text", **details)

    with sole_handler(handler):
        for get_logger in (logging.getLogger, hook_logger):
            write(get_logger(NAME))
    assert places[0] == places[1]
    assert places[0][1] == ("write" if stacklevel != 2 else "test_other_handlers_are_told_the_same_place")


def test_a_mistake_is_told_with_its_place():
    logger, collector, lines = hook_logger(NAME), LogCollector(None, None), []
    collector.add = lines.append
    with sole_handler(collector):
        logger.info("%d", "one")
    assert f"({__file__}:" in lines[0].message
