"""What the JSON of settings and function.json files may look like, and what is said when it is wrong."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext import jsonc
from worker_ext.errors import ConfigurationError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
GAPS = st.sampled_from(["", " ", "\n", "\r\n", "\t", "/**/", "/* a\n* // */", '// it\'s "x" {\n', "\u00a0"])

PROGRAM = """\
// The settings of one machine
{
  "version": "2.0", /* of the file */
  "extensions": {
    "http": { "routePrefix": "" },
  },
  "functions": [
    "A",
    "B", // trailing commas are fine
  ],
}
"""


def refused(text: str) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        jsonc.parse(text, "some.json")
    return caught.value


def test_comments_and_trailing_commas_are_accepted() -> None:
    document = jsonc.parse(PROGRAM)
    assert document.value == {
        "version": "2.0",
        "extensions": {"http": {"routePrefix": ""}},
        "functions": ["A", "B"],
    }
    assert document.warnings == ()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("version",), 3),
        (("extensions",), 4),
        (("extensions", "http", "routePrefix"), 5),
        (("functions", 1), 9),
        (("extensions", "queues", "batchSize"), 4),  # not there: the line of what would hold it
        (("functions", 7), 7),
        (("version", "major"), 3),
    ],
)
def test_every_key_and_element_has_a_line(path: tuple[str | int, ...], line: int) -> None:
    assert jsonc.parse(PROGRAM).line(path) == line


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_lines_are_counted_with_every_kind_of_line_break(newline: str) -> None:
    assert jsonc.parse(PROGRAM.replace("\n", newline)).line(("functions", 1)) == 9


def test_a_value_can_be_had_as_it_is_written() -> None:
    document = jsonc.parse('{"a": 1.50, "b": [true, {"c" : 1}]}')
    assert document.source(("a",)) == "1.50"
    assert document.source(("b", 0)) == "true"
    assert document.source(("b", 1)) == '{"c" : 1}'


def test_the_last_of_two_equal_keys_counts_and_is_told() -> None:
    document = jsonc.parse('{\n"a": 1,\n"b": 2,\n"a": 3}', "some.json")
    assert document.value == {"a": 3, "b": 2}
    assert document.line(("a",)) == 4
    assert document.warnings == ('some.json:4: the key "a" stands here again (first on line 2); the last one counts',)


def test_what_newtonsoft_takes_beyond_json_is_taken() -> None:
    assert jsonc.parse("\"two\nlines and \\'quotes\\'\"").value == "two\nlines and 'quotes'"
    assert jsonc.parse("[Infinity, -Infinity]").value == [math.inf, -math.inf]
    assert math.isnan(jsonc.parse("NaN").value)


def test_half_a_character_is_replaced() -> None:
    assert jsonc.parse(r'"\ud83d\ude00 \ud83d. \ude00"').value == "😀 �. �"


@pytest.mark.parametrize(
    ("text", "line", "column", "said"),
    [
        ("", 1, 1, "the file is empty"),
        ("// nothing\n", 2, 1, "the file is empty"),
        ('{"A": 1\n  "Values": {}}', 2, 3, 'a comma is missing before "Values"'),
        ('{"A": 1\n  Values: {}}', 2, 3, "a comma is missing before Values"),
        ('["A" "B"]', 1, 6, "a comma is missing before this"),
        ('{"A": 1;}', 1, 8, 'a comma or "}" was expected, found ";"'),
        ('{"A": 1,, "B": 2}', 1, 9, "a key and its value are missing before this comma"),
        ("[1,,2]", 1, 4, 'a value is missing before ","'),
        ('{"A": }', 1, 7, 'a value is missing before "}"'),
        ('{"A" 1}', 1, 6, 'a colon is missing after the key, found "1"'),
        ("{'A': 1}", 1, 2, "double quotes, found a single quote"),
        ("{\"A\": 'b'}", 1, 7, "double quotes, found a single quote"),
        ('{\n  A: "b"}', 2, 3, 'the key A must be in double quotes: "A"'),
        ('{"A": 1, B: 2}', 1, 10, "a key must be in double quotes"),
        ("{1", 1, 2, "a key must be in double quotes"),
        ("{:", 1, 2, 'a key in double quotes or "}" was expected, found ":"'),
        ('{"A": True}', 1, 7, "JSON writes true where this says True"),
        ('{"A": None}', 1, 7, "JSON writes null where this says None"),
        ('{"A": api}', 1, 7, "text must be in double quotes"),
        ('{"A": =}', 1, 7, 'a value was expected, found "="'),
        ("[\x07]", 1, 2, "found the character U+0007"),
        ('{"A": 007}', 1, 7, "this is not a number in JSON"),
        ("[+1]", 1, 2, "this is not a number in JSON"),
        ("[.5]", 1, 2, "this is not a number in JSON"),
        ("[1.5.2]", 1, 2, "this is not a number in JSON"),
        ("9" * 381, 1, 1, "more than 380 digits"),
        ('{"A": "C:\\work"}', 1, 10, 'a backslash followed by "w" means nothing in JSON'),
        ('"\\u12"', 1, 2, "\\u must be followed by four hexadecimal digits"),
        ('{\n"A": "b', 2, 6, "the file ends inside the string that starts here"),
        ('{"A":\n"b\\', 2, 3, "a backslash followed by the end of the file"),
        ('{\n"A": "b,\n"C": "d"\n}', 2, 6, "the closing quote of the string that starts here is missing"),
        ('{\n"A: 1,\n"B": 2\n}', 2, 1, "the closing quote of the string that starts here is missing"),
        ('{\n"A": {\n"B": 1\n', 4, 1, 'the file ends inside the object that starts on line 2, "}" is missing'),
        ("[1,", 1, 4, 'the file ends inside the list that starts on line 1, "]" is missing'),
        ('{"A":', 1, 6, "the file ends where a value was expected"),
        ("[\n{]", 2, 2, 'the object that starts on line 2 must be closed with "}", found "]"'),
        ("[1}", 1, 3, 'the list that starts on line 1 must be closed with "]", found "}"'),
        ("{} {}", 1, 4, 'the document is complete before this, found "{"'),
        ("{\n/* open", 2, 1, "the comment that starts here is never closed with */"),
        ("{ # note\n}", 1, 3, 'a comment is written // or /* */, found "#"'),
        ("{ / note\n}", 1, 3, 'a comment is written // or /* */, found "/"'),
        ("[" * 65, 1, 65, "nested more than 64 levels deep"),
    ],
)
def test_a_mistake_is_named_and_located(text: str, line: int, column: int, said: str) -> None:
    error = refused(text)
    assert (error.file, error.line) == ("some.json", line)
    assert error.message.startswith(f"column {column}: ")
    assert said in error.message


@pytest.mark.parametrize(
    "text",
    [
        '{"Key": "one" "hunter2": 1}',
        '{"Key": "one"hunter2: 1}',
        '{"Key": "one", hunter2: 1}',
        '{"Key": hunter2}',
        '{"Key": "one" hunter2}',
        "{\"Key\": 'hunter2'}",
        '{"Key": "hunter2',
        '{"Key": "hunter2\n}',
        '{"Key": "hunter2\\q"}',
        '"hunter2" 1',
    ],
)
def test_no_value_appears_in_an_error(text: str) -> None:
    assert "hunter2" not in str(refused(text))


def test_64_levels_are_read() -> None:
    assert jsonc.parse("[" * 64 + "]" * 64).value


@given(VALUES, st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_whatever_json_writes_is_read_back(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert jsonc.parse(text).value == value


@given(st.lists(SCALARS), st.dictionaries(st.text(), SCALARS), st.data())
def test_comments_may_stand_between_any_two_tokens(
    elements: list[Any], members: dict[str, Any], data: st.DataObject
) -> None:
    tokens = ["["]
    for element in elements:
        tokens += [json.dumps(element), ","]
    tokens.append("{")
    for key, value in members.items():
        tokens += [json.dumps(key), ":", json.dumps(value), ","]
    tokens += ["}", "]"]
    text = "".join(data.draw(GAPS) + token for token in tokens) + data.draw(GAPS)
    assert jsonc.parse(text).value == [*elements, members]


@given(VALUES, st.data())
def test_every_line_is_the_one_on_which_json_wrote_it(value: Any, data: st.DataObject) -> None:
    text = json.dumps({"first": value, "last": 0}, indent=1)
    assert jsonc.parse(text).line(("last",)) == text.count("\n")


@given(st.text() | st.text(alphabet="{}[]\",:\\/*u01eE.-+'# \n\rtrueA"))
def test_any_other_text_is_refused_in_words(text: str) -> None:
    error = None
    try:
        json.dumps(jsonc.parse(text, "some.json").value)
    except ConfigurationError as raised:
        error = raised
    assert error is None or 1 <= (error.line or 0) <= len(text) + 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_may_have_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "some.json"
    path.write_text('{"name": "Grüße"}', encoding=encoding)
    document = jsonc.load(path)
    assert document.value == {"name": "Grüße"}
    assert document.file == str(path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes('{\n"name": "Grüße"}'.encode("latin-1"))
    with pytest.raises(ConfigurationError, match="not UTF-8") as caught:
        jsonc.load(path)
    assert caught.value.line == 2


def test_a_file_that_is_not_there_is_left_to_the_caller(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        jsonc.load(tmp_path / "some.json")


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        jsonc.load(tmp_path)


def test_a_file_larger_than_the_limit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.json"
    path.write_bytes(b" " * jsonc.MAX_BYTES + b"1")
    with pytest.raises(ConfigurationError, match="larger than 1,000,000 bytes"):
        jsonc.load(path)
    path.write_bytes(b" " * (jsonc.MAX_BYTES - 1) + b"1")
    assert jsonc.load(path).value == 1
