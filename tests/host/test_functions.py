"""What of an app is served, and what people are told about the rest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from worker_ext.errors import ConfigurationError
from worker_ext.host.functions import HostedApp, check_http, host_app
from worker_ext.host.settings import load_host_json


def http(name: str, **trigger: Any) -> dict[str, Any]:
    return function(name, {"name": "req", "type": "httpTrigger", "direction": "in", **trigger})


def function(name: str, *bindings: dict[str, Any], disabled: bool = False) -> dict[str, Any]:
    return {"name": name, "bindings": list(bindings), "disabled": disabled}


def hosted(
    *functions: dict[str, Any],
    problems: list[dict[str, Any]] | None = None,
    only: tuple[str, ...] = (),
    environ: dict[str, str] | None = None,
) -> HostedApp:
    description = {"functions": functions, "problems": problems or [], "extensions": ["TimerExtension"]}
    return host_app(description, route_prefix="api", only=only, environ=environ or {})


def names(app: HostedApp) -> list[str]:
    return [function.name for function in app.functions]


def test_an_http_function_is_found_under_its_route_or_its_name() -> None:
    app = hosted(http("one", route="first/{id}", methods=["get"]), http("Two"))
    assert app.problems == []
    found = app.router.match("GET", "/api/first/5")
    assert found is not None
    assert (found.target.name, found.values) == ("one", {"id": "5"})
    assert app.router.match("POST", "/api/first/5") is None
    assert app.router.match("DELETE", "/api/two") is not None
    assert app.extensions == ["TimerExtension"]


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (http("a"), "there are two functions 'a'; names must differ in more than their case"),
        (http("b", route="A"), "functions 'A' and 'b' both answer every method on the route '/api/A'"),
        (http("c", route="{x"), "function 'c'"),
        (http("d", route="admin/x"), "'admin'"),
        (http("e", methods="get"), '"methods" must be a list such as ["get"], found \'get\''),
        (http("f g"), "'f g' is no valid function name"),
        (http("host"), "'host' is no valid function name"),
        (
            function("h", {"name": "m", "type": "queueTriger"}),
            "the unknown type 'queueTriger'\n  Did you mean 'queueTrigger'?",
        ),
        (function("i", {"name": "m", "type": "fax"}), "the binding 'm' has the unknown type 'fax'"),
        (
            {**http("j"), "bindings": [*http("j")["bindings"], {"name": "doc", "type": "blob", "direction": "in"}]},
            "its input binding 'doc' (blob) is not available on this host yet",
        ),
    ],
    ids=lambda value: value["name"] if isinstance(value, dict) else "",
)
def test_a_function_in_error_is_told_and_the_others_are_served(broken: dict[str, Any], reason: str) -> None:
    app = hosted(http("A"), broken, http("z"))
    assert names(app) == ["A", "z"]
    [problem] = app.problems
    assert reason in problem


def test_what_the_worker_could_not_load_is_told_with_place_and_traceback() -> None:
    problem = {"function": "bad", "message": "no", "file": "app.py", "line": 3, "hint": "Do.", "detail": "Traceback\n"}
    app = hosted(http("good"), problems=[problem])
    assert names(app) == ["good"]
    assert app.problems == ["The 'bad' function is in error: app.py:3: no\n  Do.\nTraceback"]


def test_only_the_functions_that_are_asked_for() -> None:
    app = hosted(http("one"), http("two"), http("three"), only=("TWO", "four"))
    assert names(app) == ["two"]
    assert app.problems == ["there is no function 'four', which is asked for"]


@pytest.mark.parametrize("value", ["true", "1", " True "])
@pytest.mark.parametrize("key", ["AzureWebJobs.one.Disabled", "AzureWebJobs.ONE.disabled", "AzureWebJobs_one_Disabled"])
def test_a_setting_turns_a_function_off(key: str, value: str) -> None:
    app = hosted(http("one"), http("two"), environ={key: value})
    assert (names(app), app.disabled) == (["two"], ["one"])


def test_a_setting_turns_a_function_on_that_its_declaration_turns_off() -> None:
    assert hosted(function("one", *http("one")["bindings"], disabled=True)).disabled == ["one"]
    off = function("one", *http("one")["bindings"], disabled=True)
    assert names(hosted(off, environ={"AzureWebJobs.one.Disabled": "false"})) == ["one"]


def test_outputs_and_other_triggers_are_known() -> None:
    queue = {"name": "out", "type": "queue", "direction": "out"}
    app = hosted(
        {
            **http("one"),
            "bindings": [*http("one")["bindings"], queue, {"name": "$return", "type": "http", "direction": "out"}],
        },
        function("two", {"name": "timer", "type": "timerTrigger", "schedule": "* * * * * *"}),
    )
    assert app.functions[0].outputs == {"out": "queue"}
    assert not app.functions[1].is_http


@pytest.mark.parametrize(
    ("http_group", "reason"),
    [
        ('"routePrefix": "admin"', r"host.json:3: routePrefix 'admin'"),
        ('"routePrefix": "a{b"', r"host.json:3: routePrefix 'a\{b'"),
        ('"customHeaders": {"X-A": "a\\nb"}', r"host.json:3: extensions.http.customHeaders.X-A must be a header"),
        ('"customHeaders": {"X A": "b"}', r"host.json:3: extensions.http.customHeaders.X A must be a header"),
    ],
)
def test_http_settings_that_would_fail_in_use(tmp_path: Path, http_group: str, reason: str) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0",\n"extensions": {"http": {\n' + http_group + "}}}")
    with pytest.raises(ConfigurationError, match=re.compile(reason)):
        check_http(load_host_json(tmp_path, {}))
