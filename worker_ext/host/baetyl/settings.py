"""Baetyl's settings files: how one is read, and what the settings of more than one service consist of."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from ...transports.mqtt_broker import Broker
from ...transports.mqtt_topics import filter_problem, topic_problem
from ..settings_tree import REQUIRED, Setting
from ..settings_yaml import load_yaml
from .settings_units import fill_template

Resolve = Callable[[str], Path]
"""Finds the place of a path as a service sees it."""


def read(file: Path, environ: Mapping[str, str] = os.environ) -> Setting:
    """Read a settings file, with its ``{{.VARIABLES}}`` filled in.

    :raises ConfigurationError: if it cannot be read.
    """
    return load_yaml(file, lambda text: fill_template(text, environ, file))


def uniquely(elements: Iterable[Setting], key: str) -> Iterator[Setting]:
    """Go through elements of a list that have a name, none of which may be there twice.

    :param key: the setting that is the name.
    :raises ConfigurationError: if one is.
    """
    seen: dict[str, Setting] = {}
    for element in elements:
        name = element[key].text("")
        if name in seen:
            raise element[key].error(f"another than that of line {seen[name].line}", hint=f"Both are {name!r}.")
        if name:
            seen[name] = element[key]
        yield element


def topic_of(setting: Setting) -> str:
    """A topic that is published to.

    :raises ConfigurationError: if it is none.
    """
    return _without_problem(setting, topic_problem, "a topic to publish to")


def filter_of(setting: Setting) -> str:
    """A topic filter that is subscribed to.

    :raises ConfigurationError: if it is none.
    """
    return _without_problem(setting, filter_problem, "a topic to subscribe to")


def _without_problem(setting: Setting, problem_of: Callable[[str], str], wanted: str) -> str:
    text = setting.text(REQUIRED)
    if problem := problem_of(text):
        raise setting.error(wanted, hint=f"{text!r} {problem}.")
    return text


def broker_of(setting: Setting) -> Broker:
    """The address of a broker.

    :raises ConfigurationError: if it is none.
    """
    try:
        return Broker.parse(setting.text(REQUIRED))
    except ValueError as error:
        raise setting.error("an address such as tcp://localhub:1883", hint=str(error)) from None


def file_of(setting: Setting, resolve: Resolve) -> Path | None:
    """A file; ``None`` if none is named."""
    text = setting.text("")
    return resolve(text) if text else None
