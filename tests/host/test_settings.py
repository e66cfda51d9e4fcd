"""``local.settings.json`` and ``host.json``: what they may say, and what is said when they are wrong."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_ext import jsonc
from worker_ext.errors import ConfigurationError
from worker_ext.host.settings import (
    HostJson,
    HttpOptions,
    LocalSettings,
    RetryOptions,
    Setting,
    load_host_json,
    load_local_settings,
    parse_timespan,
    read_retry,
)

PREFIX = "AzureFunctionsJobHost__"


def local(folder: Path, settings: Any) -> LocalSettings:
    text = settings if isinstance(settings, str) else json.dumps(settings, indent=1)
    (folder / "local.settings.json").write_text(text, encoding="utf-8")
    return load_local_settings(folder)


def host(folder: Path, settings: Any, environ: Mapping[str, str] | None = None) -> HostJson:
    """The settings of a host.json; of one with a version, unless it is given as text."""
    text = settings if isinstance(settings, str) else json.dumps({"version": "2.0", **settings}, indent=1)
    (folder / "host.json").write_text(text, encoding="utf-8")
    return load_host_json(folder, environ or {})


# local.settings.json


def test_all_of_local_settings(tmp_path: Path) -> None:
    settings = local(
        tmp_path,
        {
            "IsEncrypted": False,
            "Values": {"FUNCTIONS_WORKER_RUNTIME": "python", "EMPTY": ""},
            "Host": {
                "LocalHttpPort": 7072,
                "CORS": "http://localhost:3000, https://example.org",
                "CORSCredentials": True,
            },
            "ConnectionStrings": {
                "Short": "Server=a",
                "Long": {"ConnectionString": "Server=b", "ProviderName": "System.Data.SqlClient"},
            },
        },
    )
    assert settings == LocalSettings(
        values={"FUNCTIONS_WORKER_RUNTIME": "python", "EMPTY": ""},
        connection_strings={"Short": "Server=a", "Long": "Server=b"},
        http_port=7072,
        cors=("http://localhost:3000", "https://example.org"),
        cors_credentials=True,
    )


def test_without_the_file_there_are_no_settings(tmp_path: Path) -> None:
    assert load_local_settings(tmp_path) == LocalSettings()


def test_without_its_groups_there_are_no_settings_either(tmp_path: Path) -> None:
    assert local(tmp_path, {}) == LocalSettings()
    assert local(tmp_path, {"Values": None, "Host": None, "ConnectionStrings": None}) == LocalSettings()
    assert local(tmp_path, {"Host": {"LocalHttpPort": 0, "CORS": None}}) == LocalSettings()


def test_numbers_and_booleans_become_text_as_they_are_written(tmp_path: Path) -> None:
    settings = local(tmp_path, '{"Values": {"A": 1, "B": 1.50, "C": true, "D": 1e3}}')
    assert settings.values == {"A": "1", "B": "1.50", "C": "true", "D": "1e3"}


def test_group_names_have_no_case_but_the_names_of_settings_have(tmp_path: Path) -> None:
    settings = local(tmp_path, {"values": {"a": "1", "A": "2"}, "host": {"localhttpport": "7072"}})
    assert settings.values == {"a": "1", "A": "2"}
    assert settings.http_port == 7072


def test_null_and_nameless_settings_are_left_out_with_a_warning(tmp_path: Path) -> None:
    settings = local(tmp_path, '{"Values": {\n"A": null,\n"": "x"}}')
    assert settings.values == {}
    file = tmp_path / "local.settings.json"
    assert settings.warnings == (
        f"{file}:2: Values.A is null, it is left out",
        f"{file}:3: a setting in Values has no name, it is left out",
    )


def test_misspelt_and_repeated_names_are_warned_about(tmp_path: Path) -> None:
    settings = local(tmp_path, '{"Value": {},\n"Host": {"LocalHttpPorts": 1},\n"Host": {"LocalHttpPorts": 1}}')
    assert [warning.rpartition(": ")[2] for warning in settings.warnings] == [
        'the key "Host" stands here again (first on line 2); the last one counts',
        "Value is not a known setting, did you mean Values?",
        "Host.LocalHttpPorts is not a known setting, did you mean LocalHttpPort?",
    ]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{\n"IsEncrypted": true}', 2, "IsEncrypted is true"),
        ('{\n"IsEncrypted": "hunter2"}', 2, "IsEncrypted must be true or false, found other text"),
        ('["hunter2"]', 1, "the document must be an object, found a list"),
        ('{\n"Values": ["hunter2"]}', 2, "Values must be an object, found a list"),
        ('{"Values": {\n"A": {"hunter2": 1}}}', 2, "Values.A must be a text, found an object"),
        ('{"Values": {\n"A": ["hunter2"]}}', 2, "Values.A must be a text, found a list"),
        ('{"Values": {\n"A=hunter2": "x"}}', 2, "'Values.A' cannot be an environment variable"),
        ('{"Values": {\n"A": "hunter2\\u0000"}}', 2, "'Values.A' cannot be an environment variable"),
        ('{\n"Host": "hunter2"}', 2, "Host must be an object, found other text"),
        ('{"Host": {\n"LocalHttpPort": "hunter2"}}', 2, "Host.LocalHttpPort must be a whole number from 0 to 65535"),
        ('{"Host": {\n"LocalHttpPort": 65536}}', 2, "found a number"),
        ('{"Host": {\n"LocalHttpPort": 70.5}}', 2, "found a number"),
        ('{"Host": {\n"LocalHttpPort": null}}', 2, "found null"),
        ('{"Host": {\n"CORS": ["hunter2"]}}', 2, "Host.CORS must be a text, found a list"),
        ('{"Host": {"CORS": "*",\n"CORSCredentials": true}}', 2, "Host.CORSCredentials cannot be true"),
        (
            '{"ConnectionStrings": {\n"A": {"ProviderName": "hunter2"}}}',
            2,
            "ConnectionStrings.A.ConnectionString is missing",
        ),
        ('{"ConnectionStrings": {\n"A": ["hunter2"]}}', 2, "ConnectionStrings.A must be a text, found a list"),
        ('{"Values": {\n"A": "hunter2", "B" "hunter2"}}', 2, "a colon is missing"),
    ],
)
def test_a_mistake_in_local_settings_is_located_and_shows_no_value(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        local(tmp_path, text)
    assert caught.value.where == f"{tmp_path / 'local.settings.json'}:{line}"
    assert said in caught.value.message
    assert "hunter2" not in str(caught.value)


def test_values_are_in_no_repr() -> None:
    settings = LocalSettings(values={"A": "hunter2"}, connection_strings={"B": "hunter2"})
    assert "hunter2" not in repr(settings)


def test_the_environment_wins_unless_it_is_empty() -> None:
    settings = LocalSettings(values={"A": "file", "B": "file", "C": "file"}, connection_strings={"Db": "Server=a"})
    environment, skipped = settings.environment({"A": "shell", "B": "", "PATH": "/bin"}, ignore_case=False)
    assert environment == {"A": "shell", "B": "file", "C": "file", "PATH": "/bin", "ConnectionStrings:Db": "Server=a"}
    assert skipped == ["A"]


def test_case_of_variables_counts_where_the_system_says_so() -> None:
    settings = LocalSettings(values={"Path": "file", "empty": "file", "New": "1", "NEW": "2"})
    base = {"PATH": "shell", "EMPTY": ""}
    assert settings.environment(base, ignore_case=False) == ({**base, **settings.values}, [])
    assert settings.environment(base, ignore_case=True) == (
        {"PATH": "shell", "EMPTY": "file", "New": "1"},
        ["Path", "NEW"],
    )


# host.json


def test_the_defaults_of_host_json(tmp_path: Path) -> None:
    for text in ('{"version": "2.0"}', "{}"):
        settings = host(tmp_path, text)
        assert settings.version == "2.0"
        assert settings.function_timeout == timedelta(minutes=30)
        assert settings.http == HttpOptions("api", None, None, {}, {})
        assert settings.retry is None
        assert settings.log_levels == settings.extension_bundle == settings.extensions == {}
        assert settings.functions == settings.watch_directories == settings.watch_files == settings.warnings == ()


def test_all_of_host_json(tmp_path: Path) -> None:
    bundle = {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "[4.*, 5.0.0)"}
    http: dict[str, Any] = {
        "routePrefix": "/v1/api/",
        "maxOutstandingRequests": 200,
        "maxConcurrentRequests": "100",
        "customHeaders": {"X-Content-Type-Options": "nosniff"},
        "hsts": {"isEnabled": True, "maxAge": "10"},
    }
    settings = host(
        tmp_path,
        {
            "functionTimeout": "01:30:00",
            "functions": ["A", "B"],
            "extensionBundle": bundle,
            "extensions": {"http": http, "queues": {"batchSize": 16, "names": ["a", None]}},
            "logging": {"logLevel": {"default": "warning", "Function.A": "None"}},
            "retry": {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:10"},
            "watchDirectories": ["Shared"],
            "watchFiles": ["models.json"],
        },
    )
    assert settings.function_timeout == timedelta(hours=1, minutes=30)
    assert settings.http == HttpOptions("v1/api", 200, 100, http["customHeaders"], http["hsts"])
    assert settings.retry == RetryOptions("fixedDelay", 3, delay_interval=timedelta(seconds=10))
    assert settings.log_levels == {"default": "Warning", "Function.A": "None"}
    assert settings.functions == ("A", "B")
    assert settings.extension_bundle == bundle
    assert settings.extensions == {"http": http, "queues": {"batchSize": 16, "names": ["a", None]}}
    assert (settings.watch_directories, settings.watch_files) == (("Shared",), ("models.json",))
    assert settings.warnings == ()


def test_the_folder_without_host_json_is_no_function_app(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="not a function app") as caught:
        load_host_json(tmp_path, {})
    assert caught.value.file == str(tmp_path / "host.json")
    assert "func init --python" in str(caught.value)


@pytest.mark.parametrize(
    ("value", "timeout"),
    [
        ("00:00:01", timedelta(seconds=1)),
        ("00:10:00.5", timedelta(minutes=10, milliseconds=500)),
        ("1.00:00:00", timedelta(days=1)),
        ("-1", None),
        (-1, None),
        ("", timedelta(minutes=30)),
        (None, timedelta(minutes=30)),
    ],
)
def test_function_timeout(tmp_path: Path, value: Any, timeout: timedelta | None) -> None:
    settings = host(tmp_path, {"functionTimeout": value})
    assert settings.function_timeout == timeout
    assert settings.warnings == ()


@pytest.mark.parametrize(("value", "days"), [(300, 300), ("25:00:00", 25)])
def test_days_that_look_like_seconds_or_hours_are_warned_about(tmp_path: Path, value: Any, days: int) -> None:
    settings = host(tmp_path, {"functionTimeout": value})
    assert settings.function_timeout == timedelta(days=days)
    assert f"host.json:3: functionTimeout means {days} days" in settings.warnings[0]


@pytest.mark.parametrize(
    ("prefix", "expected"), [("", ""), (None, ""), ("/", ""), ("v1", "v1"), ("a/b", "a/b"), (1.5, "1.5")]
)
def test_route_prefix(tmp_path: Path, prefix: Any, expected: str) -> None:
    assert host(tmp_path, {"extensions": {"http": {"routePrefix": prefix}}}).http.route_prefix == expected


def test_a_limit_of_minus_one_is_no_limit(tmp_path: Path) -> None:
    assert host(tmp_path, {"extensions": {"http": {"maxConcurrentRequests": -1}}}).http.max_concurrent_requests is None


def test_exponential_backoff_is_the_strategy_unless_another_is_named(tmp_path: Path) -> None:
    retry = {"maxRetryCount": -1, "minimumInterval": "00:00:04", "maximumInterval": "00:15:00"}
    expected = RetryOptions(
        "exponentialBackoff", -1, minimum_interval=timedelta(seconds=4), maximum_interval=timedelta(minutes=15)
    )
    assert host(tmp_path, {"retry": retry}).retry == expected
    assert host(tmp_path, {"retry": {**retry, "strategy": "EXPONENTIALBACKOFF"}}).retry == expected


def test_a_retry_policy_is_read_from_other_files_too() -> None:
    document = jsonc.parse('{"retry": {"strategy": "fixedDelay", "maxRetryCount": 1, "delayInterval": "00:00:00"}}')
    assert read_retry(Setting.from_document(document)["retry"]) == RetryOptions("fixedDelay", 1, timedelta(0))


def test_names_have_no_case(tmp_path: Path) -> None:
    settings = host(tmp_path, {"FUNCTIONTIMEOUT": "00:01:00", "Extensions": {"HTTP": {"RoutePrefix": "x"}}})
    assert settings.function_timeout == timedelta(minutes=1)
    assert settings.http.route_prefix == "x"


@pytest.mark.parametrize(
    "variable",
    [
        "AzureFunctionsJobHost__extensions__http__routePrefix",
        "AzureFunctionsJobHost:extensions:http:routePrefix",
        "AZUREFUNCTIONSJOBHOST__EXTENSIONS__HTTP__ROUTEPREFIX",
    ],
)
def test_the_environment_replaces_settings(tmp_path: Path, variable: str) -> None:
    for settings in ({}, {"extensions": {"http": {"routePrefix": "file"}}}, {"extensions": None}):
        assert host(tmp_path, settings, {variable: "shell"}).http.route_prefix == "shell"


def test_the_environment_replaces_and_adds_elements_of_lists(tmp_path: Path) -> None:
    shell = {f"{PREFIX}functions__0": "X", f"{PREFIX}functions__2": "Z"}
    assert host(tmp_path, {"functions": ["A", "B"]}, shell).functions == ("X", "B", "Z")
    assert host(tmp_path, {}, shell).functions == ("X", "Z")
    assert host(tmp_path, {"functions": ["A"] * 12}, {f"{PREFIX}functions__10": "X"}).functions[10] == "X"


def test_the_environment_adds_log_levels(tmp_path: Path) -> None:
    shell = {f"{PREFIX}logging__logLevel__Function": "Debug", f"{PREFIX}logging__logLevel__DEFAULT": "Error"}
    settings = host(tmp_path, {"logging": {"logLevel": {"default": "Information"}}}, shell)
    assert settings.log_levels == {"default": "Error", "Function": "Debug"}


def test_other_variables_are_no_settings(tmp_path: Path) -> None:
    shell = {"AzureFunctionsJobHost": "x", "AzureFunctionsJobHost__": "x", "AzureFunctionsJobHostX__functions": "x"}
    assert host(tmp_path, {}, shell) == host(tmp_path, {})


def test_a_wrong_variable_is_named_and_its_value_is_not_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        host(tmp_path, {"functionTimeout": "00:01:00"}, {f"{PREFIX}functionTimeout": "hunter2"})
    assert caught.value.where == ""
    assert caught.value.message.startswith(f"{PREFIX}functionTimeout must be a duration")
    assert "local.settings.json" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('{\n"functions": []}', 1, '"version" is missing'),
        ('{\n"Version": "2.0"}', 2, '"version" is missing'),
        ('{\n"version": "3.0"}', 2, 'version must be "2.0" in quotes, found "3.0"'),
        ('{\n"version": 2.0}', 2, 'version must be "2.0" in quotes, found 2.0'),
        ("[]", 1, "the document must be an object, found a list"),
        ("null", 1, "the document must be an object, found null"),
        ('{"version": "2.0",\n"functionTimeout": "soon"}', 2, '(d.hh:mm:ss), found "soon"'),
        ('{"version": "2.0",\n"functionTimeout": "00:00:00"}', 2, "of a second or more"),
        ('{"version": "2.0",\n"functionTimeout": "-2"}', 2, "of a second or more"),
        ('{"version": "2.0",\n"functionTimeout": ["00:01:00"]}', 2, "found a list"),
        ('{"version": "2.0",\n"functionTimeout": true}', 2, "found true"),
        ('{"version": "2.0",\n"functions": "A"}', 2, 'functions must be a list of texts, found "A"'),
        ('{"version": "2.0",\n"functions": {"A": 1}}', 2, "functions must be a list of texts, found an object"),
        ('{"version": "2.0", "functions": ["A",\n["B"]]}', 2, "functions[1] must be a text, found a list"),
        ('{"version": "2.0",\n"extensions": 5}', 2, "extensions must be an object, found 5"),
        ('{"version": "2.0", "extensions": {\n"http": []}}', 2, "extensions.http must be an object, found a list"),
        (
            '{"version": "2.0", "extensions": {"http": {\n"maxConcurrentRequests": 0}}}',
            2,
            "extensions.http.maxConcurrentRequests must be a whole number from 1, or -1 for no limit, found 0",
        ),
        ('{"version": "2.0", "extensions": {"http": {\n"maxOutstandingRequests": "many"}}}', 2, 'found "many"'),
        ('{"version": "2.0", "extensions": {"http": {\n"maxOutstandingRequests": null}}}', 2, "found null"),
        ('{"version": "2.0", "extensions": {"http": {\n"routePrefix": {}}}}', 2, "must be a text, found an object"),
        ('{"version": "2.0",\n"extensionBundle": []}', 2, "extensionBundle must be an object"),
        (
            '{"version": "2.0", "logging": {"logLevel": {\n"Host.Results": "Loud"}}}',
            2,
            "logging.logLevel.Host.Results must be one of Trace, Debug, Information, Warning, Error, Critical, None",
        ),
        ('{"version": "2.0", "logging": {\n"logLevel": "Debug"}}', 2, "logging.logLevel must be an object"),
        ('{"version": "2.0",\n"retry": {"strategy": "fixedDelay"}}', 2, "retry.maxRetryCount is missing"),
        ('{"version": "2.0", "retry": {\n"maxRetryCount": -2}}', 2, "must be a whole number from -1, found -2"),
        ('{"version": "2.0", "retry": {\n"strategy": "linear"}}', 2, "must be one of fixedDelay, exponentialBackoff"),
        (
            '{"version": "2.0",\n"retry": {"strategy": "fixedDelay", "maxRetryCount": 1}}',
            2,
            "retry.delayInterval is missing",
        ),
        (
            '{"version": "2.0", "retry": {"strategy": "fixedDelay", "maxRetryCount": 1,\n"delayInterval": "-00:01"}}',
            2,
            "not below 0:00:00",
        ),
        (
            '{"version": "2.0", "retry": {"maxRetryCount": 1,\n"minimumInterval": "0:2", "maximumInterval": "0:1"}}',
            2,
            "retry.minimumInterval must be at most maximumInterval, which is 0:01:00",
        ),
        ('{"version": "2.0"\n"functions": []}', 2, 'a comma is missing before "functions"'),
    ],
)
def test_a_mistake_in_host_json_is_named_and_located(tmp_path: Path, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        host(tmp_path, text)
    assert caught.value.where == f"{tmp_path / 'host.json'}:{line}"
    assert said in caught.value.message


def test_the_version_cannot_come_from_the_environment(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match='"version" is missing'):
        host(tmp_path, '{"functions": []}', {f"{PREFIX}version": "2.0"})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"functionTimout": "00:01:00"}, "functionTimout is not a known setting, did you mean functionTimeout?"),
        ({"extensions": {"http": {"routPrefix": ""}}}, "extensions.http.routPrefix is not a known setting"),
        ({"retry": None, "loging": {}}, "did you mean logging?"),
        ({"http": {"routePrefix": ""}}, "http has no effect here, since version 2.0 it is extensions.http"),
    ],
)
def test_names_that_are_probably_wrong_are_warned_about(tmp_path: Path, settings: Any, said: str) -> None:
    (warning,) = host(tmp_path, settings).warnings
    assert warning.startswith(f"{tmp_path / 'host.json'}:")
    assert said in warning


def test_unknown_settings_are_kept_for_who_knows_them(tmp_path: Path) -> None:
    settings = host(tmp_path, {"extensions": {"kafka": {"maxPollInterval": "00:05:00"}}, "zeppelin": {"size": "3"}})
    assert settings.warnings == ()
    assert settings.settings["zeppelin"]["size"].integer(1, minimum=0) == 3
    assert settings.settings["Extensions"]["Kafka"]["maxPollInterval"].timespan(None) == timedelta(minutes=5)
    assert settings.settings["extensions"]["kafka"]["other"].boolean(True) is True
    with pytest.raises(ConfigurationError, match=r"host.json:5: .*maxPollInterval must be true or false"):
        settings.settings["extensions"]["kafka"]["maxPollInterval"].boolean(True)


# Durations


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("6", timedelta(days=6)),
        ("6:12", timedelta(hours=6, minutes=12)),
        (" 06:12:14 ", timedelta(hours=6, minutes=12, seconds=14)),
        ("6.12:14", timedelta(days=6, hours=12, minutes=14)),
        ("6.12:14:45", timedelta(days=6, hours=12, minutes=14, seconds=45)),
        ("6:12:14:45.5", timedelta(days=6, hours=12, minutes=14, seconds=45, milliseconds=500)),
        ("24:00:00", timedelta(days=24)),
        ("0:0:0.0000019", timedelta(microseconds=2)),
        ("-1", timedelta(days=-1)),
        ("-00:00:01.25", timedelta(seconds=-1.25)),
        ("10675199.02:48:05", timedelta(days=10_675_199, hours=2, minutes=48, seconds=5)),
    ],
)
def test_durations_are_read_as_dotnet_reads_them(text: str, duration: timedelta) -> None:
    assert parse_timespan(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "-", "soon", "1:", ":1", "1.5", "24:00", "00:60:00", "00:00:60", "1.24:00:00", "1:2:3:4:5", "- 1", "+1", "１",
     "0:0:0.00000001", "10675200", "10675199.02:48:06", "9" * 5000],
)  # fmt: skip
def test_what_is_no_duration_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a duration like") as caught:
        parse_timespan(text)
    assert str(caught.value) == 'not a duration like "hh:mm:ss" or "d.hh:mm:ss"'


@given(st.timedeltas(timedelta(days=-10_675_199), timedelta(days=10_675_199)))
def test_every_duration_in_the_constant_form_is_read_back(duration: timedelta) -> None:
    positive = abs(duration)
    minutes, seconds = divmod(positive.seconds, 60)
    clock = f"{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{positive.microseconds:06}0"
    assert parse_timespan(f"{'-' if duration < timedelta(0) else ''}{positive.days}.{clock}") == duration


@given(st.text() | st.text(alphabet="0123456789.:- "))
def test_any_other_text_is_refused_with_a_value_error(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert abs(parse_timespan(text)) <= timedelta(days=10_675_200)
