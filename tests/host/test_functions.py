"""What of an app is served, and what people are told about the rest."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from worker_ext.errors import ConfigurationError
from worker_ext.host.functions import HostedApp, check_http, host_app
from worker_ext.host.settings import RetryOptions, load_host_json


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
            {**http("j"), "bindings": [*http("j")["bindings"], {"name": "d", "type": "cosmosDB", "direction": "in"}]},
            "its input binding 'd' (cosmosDB) is not available on this host",
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
    assert app.problems == ["there is no function 'four', which is asked for; the app has: one, three, two"]


def test_those_that_answer_requests_come_first_and_all_by_name() -> None:
    app = hosted(function("a", {"name": "m", "type": "serviceBusTrigger"}), http("b"), http("C"), http("a2"))
    assert names(app) == ["a2", "b", "C", "a"]


@pytest.mark.parametrize("value", ["true", "1", " True "])
@pytest.mark.parametrize("key", ["AzureWebJobs.one.Disabled", "AzureWebJobs.ONE.disabled", "AzureWebJobs_one_Disabled"])
def test_a_setting_turns_a_function_off(key: str, value: str) -> None:
    app = hosted(http("one"), http("two"), environ={key: value})
    assert (names(app), app.disabled) == (["two"], ["one"])


def test_a_setting_turns_a_function_on_that_its_declaration_turns_off() -> None:
    assert hosted(function("one", *http("one")["bindings"], disabled=True)).disabled == ["one"]
    off = function("one", *http("one")["bindings"], disabled=True)
    assert names(hosted(off, environ={"AzureWebJobs.one.Disabled": "false"})) == ["one"]


def with_outputs(function: dict[str, Any], *outputs: dict[str, Any]) -> dict[str, Any]:
    return {**function, "bindings": [*function["bindings"], *({"direction": "out", **output} for output in outputs)]}


def test_outputs_and_other_triggers_are_known() -> None:
    queue, hub = {"name": "out", "type": "queue", "queueName": "some"}, {"name": "hub", "type": "eventHub"}
    app = hosted(
        with_outputs(http("one"), queue, hub, {"name": "$return", "type": "http"}),
        function("two", {"name": "timer", "type": "timerTrigger", "schedule": "* * * * * *"}),
        function("three", {"name": "event", "type": "eventGridTrigger"}),
        environ={"AzureWebJobsStorage": "UseDevelopmentStorage=true"},
    )
    one, three, two = app.functions
    assert (list(one.outputs), one.undelivered) == (["out"], {"hub": "eventHub"})
    assert (one.is_http, two.is_http) == (True, False)
    assert two.starter is not None
    assert three.starter is None
    assert app.warnings == [
        "three is loaded, but nothing starts it here: this host does not watch for eventGridTriggers."
        " Run it by hand:  POST /admin/functions/three"
    ]


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        ({"type": "queue", "queueName": "a_b"}, "the queueName of its output 'out' is 'a_b'"),
        ({"type": "queue", "queueName": "%Name%"}, "there is no setting Name"),
        ({"type": "queue", "queueName": "{a"}, "the brace at its character 1 begins no {name}"),
        ({"type": "queue", "queueName": "abc", "connection": "C"}, "it uses the storage connection C, and there is no"),
        ({"type": "queue", "queueName": "abc", "connection": "Bad"}, "the setting Bad is no storage connection string"),
        ({"type": "queue", "queueName": "abc", "connection": "Id"}, "identity-based connections are not available"),
        ({"type": "blob", "path": "container"}, "the path of its binding 'out' is 'container'"),
        ({"type": "table", "tableName": "1st"}, "the tableName of its binding 'out' is '1st'"),
    ],
)
def test_a_wrong_storage_binding_puts_its_function_in_error(output: dict[str, Any], reason: str) -> None:
    environ = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "Bad": "secret", "Id__accountName": "a"}
    app = hosted(with_outputs(http("one"), {"name": "out", **output}), environ=environ)
    assert app.functions == []
    [problem] = app.problems
    assert reason in problem
    assert "secret" not in problem


RETRY = {"strategy": "fixedDelay", "maxRetryCount": 3, "delayInterval": "00:00:05"}


def retrying(kind: str, retry: dict[str, Any] | None, **trigger: Any) -> dict[str, Any]:
    return {**function("one", {"name": "t", "type": kind, **trigger}), "retry": retry}


@pytest.mark.parametrize(
    "retry",
    [
        RETRY,
        {"setting_name": "retry_policy", "strategy": "fixed_delay", "max_retry_count": "3", "delay_interval": "0:0:5"},
    ],
)
def test_a_retry_policy_of_either_programming_model(retry: dict[str, Any]) -> None:
    policy = hosted(retrying("timerTrigger", retry, schedule="* * * * *")).functions[0].retry
    assert policy == RetryOptions("fixedDelay", 3, delay_interval=timedelta(seconds=5))


def test_a_retry_policy_has_no_effect_where_azure_has_none() -> None:
    queue = retrying("queueTrigger", RETRY, queueName="abc")
    app = hosted(queue, environ={"AzureWebJobsStorage": "UseDevelopmentStorage=true"})
    assert app.functions[0].retry is None
    assert app.warnings == [
        "The retry policy of one has no effect, as in Azure: a message is tried again until its maxDequeueCount."
    ]
    assert "The retry policy of one has no effect" in hosted(retrying("httpTrigger", RETRY)).warnings[0]


def test_a_wrong_retry_policy_is_told() -> None:
    app = hosted(retrying("timerTrigger", {"strategy": "fixed_delay", "max_retry_count": "x"}, schedule="* * * * *"))
    [problem] = app.problems
    assert "its retry policy is wrong: maxRetryCount must be a whole number from -1" in problem


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
