"""Binding expressions and settings in bindings."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext.errors import ConfigurationError
from worker_ext.host.bindings.base import BindingFailed
from worker_ext.host.bindings.expressions import Pattern, Template, format_time, json_properties
from worker_ext.host.setting_values import lookup_setting, resolve_settings
from worker_ext.host.storage import Storage, connection_string
from worker_ext.host.storage_queues import MessageEncoding

DATA = {
    "name": "a.txt",
    "Count": 5,
    "yes": True,
    "inner": {"Deep": {"er": "down"}},
    "query": {"q": "x"},
    "headers": {"x-id": "7"},
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{name}", "a.txt"),
        ("in/{NAME}/{count}-{yes}", "in/a.txt/5-true"),
        ("{inner.deep.er}{Query.q}{headers.x-id}", "downx7"),
        ("{{20140101}}-{name}", "{20140101}-a.txt"),
        ("{inner}", '{"Deep": {"er": "down"}}'),
    ],
)
def test_expressions_become_what_they_name(text: str, expected: str) -> None:
    assert Template(text, "a path").fill(DATA) == expected


def test_built_in_expressions() -> None:
    assert uuid.UUID(Template("{rand-guid}", "x").fill({})).version == 4
    assert re.fullmatch(r"[0-9a-f]{32}", Template("{rand-guid:N}", "x").fill({}))
    assert re.fullmatch(r"\{[0-9a-f-]{36}\}", Template("{rand-guid:B}", "x").fill({}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", Template("{DateTime}", "x").fill({}))
    assert Template("{datetime:yyyy/MM}", "x").fill({}) == datetime.now(UTC).strftime("%Y/%m")


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("yyyy-MM-dd HH:mm:ss.fff", "2026-03-04 15:06:07.012"),
        ("yy M d H h m s tt", "26 3 4 15 3 6 7 PM"),
        ("ddd dddd MMM MMMM hh", "Wed Wednesday Mar March 03"),
        ("'day' d \\d K", "day 4 d Z"),
        ("fffffff", "0123450"),
    ],
)
def test_times_are_written_as_in_dotnet(form: str, expected: str) -> None:
    assert format_time(datetime(2026, 3, 4, 15, 6, 7, 12345, UTC), form) == expected


@pytest.mark.parametrize("text", ["{", "}", "{}", "a{b", "{a}}", "{a{b}}", "{ }"])
def test_braces_that_do_not_match_are_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match="the brace at its character"):
        Template(text, "a path")


@given(st.text("{}ab:.- ", max_size=12))
def test_any_text_is_a_template_or_is_refused(text: str) -> None:
    try:
        template = Template(text, "a path")
    except ConfigurationError:
        return
    assert template.is_fixed is (not re.search(r"(?<!\{)\{[^{]", text.replace("{{", "")))


def test_what_has_no_value_is_told_with_what_there_is() -> None:
    with pytest.raises(
        BindingFailed, match=r"a path is '\{other\}', but \{other\} has no value; known: Count, headers,"
    ):
        Template("{other}", "a path").fill(DATA)


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{name}", "a/b.txt", {"name": "a/b.txt"}),
        ("{name}.{ext}", "a.b.txt", {"name": "a.b", "ext": "txt"}),
        ("in/{name}.txt", "in/a.txt", {"name": "a"}),
        ("in/{name}.txt", "out/a.txt", None),
        ("in/{name}.txt", "in/a.txt.bak", None),
        ("{{x}}{name}", "{x}y", {"name": "y"}),
        ("fixed", "fixed", {}),
        ("a+b", "aab", None),
    ],
)
def test_patterns(pattern: str, path: str, expected: dict[str, str] | None) -> None:
    assert Pattern(Template(pattern, "a path")).match(path) == expected


@pytest.mark.parametrize("pattern", ["{a}/{A}", "{rand-guid}", "{a.b}", "{date:yyyy}"])
def test_what_no_path_can_be_compared_with_is_told(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot stand there"):
        Pattern(Template(pattern, "a path"))


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text("xy/.", max_size=5), min_size=3))
def test_a_path_that_a_pattern_made_matches_it(values: dict[str, str]) -> None:
    template = Template("{a}-{b}_{c}", "a path")
    assert Pattern(template).match(template.fill(values)) == values


@pytest.mark.parametrize(
    ("data", "expected"),
    [(b' {"a": 1}', {"a": 1}), (b"[1]", {}), (b"{", {}), (b"\xff", {}), (b"", {}), (b'{"a":' * 100_000, {})],
)
def test_the_properties_of_json(data: bytes, expected: object) -> None:
    assert json_properties(data) == expected


def test_settings_are_found_whatever_their_case() -> None:
    environ = {"Name": "one", "NAME": "two", "other": "three"}
    assert (lookup_setting("NAME", environ), lookup_setting("OTHER", environ)) == ("two", "three")
    assert resolve_settings("a-%other%-%Name%", environ, "x") == "a-three-one"
    with pytest.raises(ConfigurationError, match="x is '%none%', but there is no setting none"):
        resolve_settings("%none%", environ, "x")


@pytest.mark.parametrize(
    ("name", "environ"),
    [
        (None, {"AzureWebJobsStorage": "AccountName=found"}),
        ("Mine", {"AzureWebJobsMine": "AccountName=found", "Mine": "AccountName=second"}),
        ("Mine", {"mine": "AccountName=found"}),
        ("Mine", {"ConnectionStrings:Mine": "AccountName=found"}),
        ("AzureWebJobsStorage", {"AzureWebJobsStorage": "AccountName=found"}),
    ],
)
def test_where_a_connection_is_looked_for(name: str | None, environ: dict[str, str]) -> None:
    assert connection_string(name, environ) == "AccountName=found"


def test_development_storage_is_the_emulator_on_its_ports() -> None:
    text = connection_string(None, {"AzureWebJobsStorage": "UseDevelopmentStorage=true;"})
    assert "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1" in text
    proxied = "UseDevelopmentStorage=true;DevelopmentStorageProxyUri=http://emulator"
    assert "BlobEndpoint=http://emulator:10000/" in connection_string(None, {"AzureWebJobsStorage": proxied})
    assert Storage().client("queue", text).account_name == "devstoreaccount1"


@given(st.binary(max_size=50))
def test_messages_come_back_as_they_were(message: bytes) -> None:
    encoding = MessageEncoding("base64")
    assert encoding.decode(encoding.encode(message)) == message
