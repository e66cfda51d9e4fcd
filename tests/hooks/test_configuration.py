"""What a setting's text becomes, by the type that ``configure`` wants."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext import ConfigurationError
from worker_ext.hooks.configuration import configure, convert


class Level(enum.Enum):
    LOW = 1
    HIGH = 2


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        *((text, bool, True) for text in ("1", "true", "True", "YES", "on", "y", "t")),
        *((text, bool, False) for text in ("0", "false", "no", "OFF", "n", "f")),
        ("-3", int, -3),
        ("0.25", float, 0.25),
        ("", str, ""),
        ("a, b", str, "a, b"),
        ("a, b", Any, "a, b"),
        ("/tmp", Path, Path("/tmp")),
        ("1.5", timedelta, timedelta(seconds=1.5)),
        ("a, b,", list[str], ["a", "b"]),
        ("1,2", tuple[int, ...], (1, 2)),
        ("1,2,2", set[int], {1, 2}),
        ("a", Iterable[str], ["a"]),
        ("1", Sequence[float], [1.0]),
        ("", list, []),
        ('{"a": 1}', dict[str, Any], {"a": 1}),
        ('{"a": 1}', Mapping[str, int], {"a": 1}),
        ("high", Level, Level.HIGH),
        ("gzip", Literal["gzip", "br"], "gzip"),
        ("2", Literal[1, 2], 2),
        ("", Optional[int], None),  # noqa: UP045
        ("none", int | None, None),
        ("7", int | None, 7),
        ("x", str | int, "x"),
        ("7", str | int, 7),
        ("a,b", str | list[str], ["a", "b"]),
    ],
)
def test_conversion(text, annotation, value):
    assert convert(text, annotation) == value
    assert type(convert(text, annotation)) is type(value)


@pytest.mark.parametrize(
    ("text", "annotation"),
    [
        ("maybe", bool),
        ("", bool),
        ("1.5", int),
        ("", float),
        ("[1]", dict),
        ("{", dict),
        ("middle", Level),
        ("zip", Literal["gzip"]),
        ("x", int | None),
        ("x", object.__init__),
        ("x", type(test_conversion)),
        ("a,b", list[int]),
    ],
)
def test_no_such_value(text, annotation):
    with pytest.raises((ValueError, TypeError)):
        convert(text, annotation)


@given(st.text(), st.sampled_from([bool, int, float, timedelta, dict, Level, list[int], int | None, Literal[1]]))
def test_any_text_is_converted_or_refused(text, annotation):
    try:
        convert(text, annotation)
    except (ValueError, OverflowError):
        pass


def test_without_an_annotation_the_type_of_the_default_counts():
    seen = {}

    class Extension:
        @classmethod
        def configure(cls, number=1, flag=False, text=None, *args, **kwargs):
            seen.update(number=number, flag=flag, text=text)

    settings = {"WORKER_EXT_X__NUMBER": "2", "WORKER_EXT_X__FLAG": "yes", "WORKER_EXT_X__TEXT": "3"}
    configure("x", Extension, settings)
    assert seen == {"number": 2, "flag": True, "text": "3"}


def test_an_annotation_that_only_type_checkers_can_read():
    seen = []

    class Extension:
        @classmethod
        def configure(cls, number: NowhereToBeFound = 1):  # noqa: F821
            seen.append(number)

    configure("x", Extension, {"WORKER_EXT_X__NUMBER": "2"})
    assert seen == [2]


def test_one_of_them_does_not_keep_the_others_from_being_read():
    class Extension:
        @classmethod
        def configure(cls, number: int, flag: bool | None = None, logger: NowhereToBeFound = None):  # noqa: F821
            seen.append((number, flag))

    seen = []
    configure("x", Extension, {"WORKER_EXT_X__NUMBER": "2", "WORKER_EXT_X__FLAG": "false"})
    assert seen == [(2, False)]
    with pytest.raises(ConfigurationError, match="WORKER_EXT_X__NUMBER cannot be a int"):
        configure("x", Extension, {"WORKER_EXT_X__NUMBER": "two"})
