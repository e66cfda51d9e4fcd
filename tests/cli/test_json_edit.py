"""Changing one member of a JSON file; everything else stays as a person has written it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext import jsonc
from worker_ext.cli.json_edit import remove_member, set_member

COMMENTED = """\
{
    // of this machine only
    "IsEncrypted": false,
    "Values": {
        "A": "1", // the first
        /* the second */
        "B": "2" // no comma
    },
    "Host": { "CORS": "*" }
}
"""


def set_(text: str, *path: str, value: object) -> str:
    return set_member(jsonc.parse(text), path, value)


def remove(text: str, *path: str) -> str:
    return remove_member(jsonc.parse(text), path)


class TestSet:
    def test_a_value_is_replaced_where_it_is(self):
        assert set_(COMMENTED, "Values", "A", value="x") == COMMENTED.replace('"A": "1"', '"A": "x"')

    def test_a_member_is_added_after_the_last_and_its_comment(self):
        assert set_(COMMENTED, "Values", "C", value="3") == COMMENTED.replace(
            '"B": "2" // no comma\n', '"B": "2", // no comma\n        "C": "3"\n'
        )

    def test_in_an_object_on_one_line(self):
        assert '"Host": { "CORS": "*", "LocalHttpPort": 1 }' in set_(COMMENTED, "Host", "LocalHttpPort", value=1)

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ("{}", '{\n  "A": 1\n}'),
            ('{"A": 0}', '{"A": 1}'),
            ('{\n  "B": 0,\n}\n', '{\n  "B": 0,\n  "A": 1\n}\n'),  # a comma too many stays
            ('{\n\t"B": {\n\t}\n}', '{\n\t"B": {\n\t},\n\t"A": 1\n}'),
            ('{\r\n  "B": 0\r\n}\r\n', '{\r\n  "B": 0,\r\n  "A": 1\r\n}\r\n'),
            ("{ // nothing\n}", '{ // nothing\n  "A": 1\n}'),
            ('{"B": [1, {"A": 2}]}', '{"B": [1, {"A": 2}], "A": 1}'),
            ('{"B": "},"}', '{"B": "},", "A": 1}'),
        ],
    )
    def test_whatever_the_object_looks_like(self, before, after):
        assert set_(before, "A", value=1) == after

    def test_an_empty_object_inside_takes_the_file_s_indentation(self):
        assert set_('{\n    "Values": {}\n}', "Values", "A", value="1") == (
            '{\n    "Values": {\n        "A": "1"\n    }\n}'
        )


class TestRemove:
    def test_with_its_line_and_its_comment(self):
        assert remove(COMMENTED, "Values", "A") == COMMENTED.replace('        "A": "1", // the first\n', "")

    def test_the_last_takes_the_comma_before_it_along(self):
        assert remove(COMMENTED, "Values", "B") == COMMENTED.replace('"1",', '"1"').replace(
            '        "B": "2" // no comma\n', ""
        )

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ('{"A": 1}', "{}"),
            ('{"A": 1, "B": 2}', '{"B": 2}'),
            ('{"B": 2, "A": 1}', '{"B": 2}'),
            ('{"B": 2, "A": 1, "C": 3}', '{"B": 2, "C": 3}'),
            ('{\n  "A": 1\n}', "{\n}"),
            ('{\n  "A": 1,\n}', "{\n}"),
            ('{\n  "A": 1, "B": 2\n}', '{\n  "B": 2\n}'),
            ('{\r\n  "A": 1,\r\n  "B": 2\r\n}', '{\r\n  "B": 2\r\n}'),
            ('{"A": {"x": "}"}, "B": 2}', '{"B": 2}'),
            ('{\n  "A": 1, /* a */ "B": 2 /* b */\n}', '{\n  /* a */ "B": 2 /* b */\n}'),
        ],
    )
    def test_whatever_the_object_looks_like(self, before, after):
        assert remove(before, "A") == after


keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=8)
scalars = st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=12)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
layouts = st.sampled_from([None, 2, "\t"])
comments = st.sampled_from(["", ' // a } comment, with "quotes"\n', " /* { */ ", "\n\n"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[str, object]]:
    """The text of an object, with comments after some of its commas, and its value."""
    value = draw(st.dictionaries(keys, values, max_size=4))
    indent = draw(layouts)
    members = [f"{json.dumps(key)}: {json.dumps(one, indent=indent)}" for key, one in value.items()]
    text = ",".join(draw(comments) + member + draw(comments) for member in members)
    trailing = draw(st.sampled_from(["", ","])) if members else ""
    return f"{{{draw(comments)}{text}{trailing}{draw(comments)}}}", value


@given(documents(), keys, values)
def test_any_document_reads_afterwards_as_if_a_dict_had_been_changed(document, key, value):
    text, members = document
    changed = set_(text, key, value=value)
    assert jsonc.parse(changed).value == {**members, key: value}
    assert jsonc.parse(remove(changed, key)).value == {name: one for name, one in members.items() if name != key}


@given(documents(), st.data())
def test_removing_any_member_leaves_the_others(document, data):
    text, members = document
    if members:
        key = data.draw(st.sampled_from(sorted(members)))
        assert jsonc.parse(remove(text, key)).value == {name: one for name, one in members.items() if name != key}
