"""v2 apps in Microsoft's runtime for Python 3.13: importing ``worker_ext`` is all that they do for their hooks."""

from __future__ import annotations

import json
import re

import pytest
from bridge.conftest import APPS, Run, RunStock, get

HISTORY = [
    {"EventType": 12, "EventId": -1, "IsPlayed": False, "Timestamp": "2026-01-01T00:00:00Z"},
    {
        "EventType": 0,
        "EventId": -1,
        "IsPlayed": False,
        "Timestamp": "2026-01-01T00:00:00Z",
        "Name": "orchestrating",
        "Input": None,
        "Version": None,
    },
]
ORCHESTRATION = {"history": HISTORY, "instanceId": "1", "isReplaying": False, "parentInstanceId": None, "input": None}
ENTITY = {"self": {"name": "counting", "key": "k"}, "exists": False, "state": None, "batch": []}
CLIENT = {"taskHubName": "hub", "creationUrls": {}, "managementUrls": {}}

CALLS = {
    "plain": get("plain"),
    "with_context": get("with_context", trace_parent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    "async_plain": get("async_plain"),
    "async_with_context": get("async_with_context"),
    "failing": get("failing"),
    "async_failing": get("async_failing"),
    "copying": {"function": "copying", "inputs": {"message": {"string": "text"}}},
    "ordering": get("ordering"),
    "orchestrating": {"function": "orchestrating", "inputs": {"context": {"string": json.dumps(ORCHESTRATION)}}},
    "counting": {"function": "counting", "inputs": {"context": {"string": json.dumps(ENTITY)}}},
    "acting": {"function": "acting", "inputs": {"thing": {"json": '"tea"'}}},
    "starting": {
        "function": "starting",
        "inputs": {"req": {"http": {"url": "http://localhost/"}}, "client": {"string": json.dumps(CLIENT)}},
    },
}
FOLDER = APPS / "v2"


def number_of(function: str) -> int:
    return list(CALLS).index(function)


@pytest.fixture(scope="module")
def app(run_stock: RunStock) -> Run:
    """The app, each of its functions called once."""
    return run_stock(FOLDER, list(CALLS.values()))


@pytest.fixture(scope="module")
def bare(run_stock: RunStock) -> Run:
    """The same without the flag: the runtime by itself."""
    return run_stock(FOLDER, list(CALLS.values()), flag=None)


@pytest.mark.parametrize("function", CALLS)
def test_hooks_run_around_every_kind_of_function(app, function):
    before, *after = app.texts("WitnessExtension", number_of(function))
    assert re.match(rf"before {function}\(", before)
    fails = "failing" in function
    assert bool(after) != fails
    assert all(text.startswith(f"after {function}: ") for text in after)


def test_hooks_of_a_sync_function_run_on_its_thread_those_of_an_async_one_on_the_loop(app):
    for function, thread in {"plain": "pool", "async_plain": "loop"}.items():
        assert all(text.endswith(f" on {thread}") for text in app.texts("WitnessExtension", number_of(function)))


@pytest.mark.parametrize("function", CALLS)
def test_hooks_see_the_arguments_of_the_function_and_no_others(app, function):
    declared = {"copying": "copy,message", "starting": "client,req", "acting": "thing"}
    declared |= dict.fromkeys(("with_context", "async_with_context"), "context,req")
    declared |= dict.fromkeys(("orchestrating", "counting"), "context")
    assert app.texts("WitnessExtension", number_of(function))[0].startswith(
        f"before {function}({declared.get(function, 'req')})"
    )


@pytest.mark.parametrize("function", CALLS)
def test_the_functions_directory_is_that_of_its_file(app, function):
    directory = FOLDER / "shop" if function == "ordering" else FOLDER
    assert f" in {directory} on " in app.texts("WitnessExtension", number_of(function))[0]
    assert f"loaded {function} in {directory}" in app.told("witness:")


def test_load_hooks_run_once_for_each_function_when_all_are_defined(app):
    first, *rest = app.told("witness:")
    assert first == "defining functions"
    assert len(rest) == len(CALLS) + 1


def test_the_context_is_the_very_object_that_the_function_gets(app):
    assert app.body(number_of("async_with_context")).startswith("async hello")


def test_the_context_is_the_runtimes_own(app):
    assert "hello 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" in app.body(number_of("with_context"))


def test_a_function_level_extension_applies_to_the_functions_of_its_file(app):
    assert app.texts("FunctionWitness") == ["before ordering", "after ordering"]
    assert app.told("witness: for itself loaded") == ["ordering"]


def test_an_extension_of_the_tutorials_kind_changes_the_response(app):
    assert re.fullmatch(r"plain \(TimeElapsed: \S+ sec\)", app.body(number_of("plain")))


@pytest.mark.parametrize("function", ["failing", "async_failing"])
def test_what_the_function_raises_is_told_with_the_users_own_lines(app, function):
    failure = app.answers[number_of(function)]["failure"]
    assert failure["message"] == "ValueError: no such order"
    assert f'raise ValueError("no such order")\n{failure["message"]}' in failure["traceback"]
    assert "hooks/pipeline.py" not in failure["traceback"]


def test_bindings_durable_functions_and_clients_work_as_they_do_without_hooks(app, bare):
    assert app.answers[number_of("copying")]["outputs"] == {"copy": "TEXT"}
    for function in ("copying", "orchestrating", "counting", "acting"):
        assert app.answers[number_of(function)] == bare.answers[number_of(function)]
        assert app.answers[number_of(function)]["failure"] is None
    assert "DurableOrchestrationClient" in app.body(number_of("starting"))


def test_without_the_flag_nothing_is_touched(bare):
    assert bare.texts("WitnessExtension") == []
    assert bare.told("witness:") == ["defining functions"]
    assert bare.body(number_of("plain")) == "plain"
    assert "worker_ext" not in bare.answers[number_of("failing")]["failure"]["traceback"]
    assert bare.warnings == []


def test_it_warns_of_nothing(app):
    assert app.warnings == []


@pytest.mark.parametrize("kind", ["asgi", "wsgi"])
def test_apps_of_web_frameworks(run_stock, kind):
    done = run_stock(APPS / kind, [get("http_app_func")])
    assert re.fullmatch(rf"{kind} /http_app_func \(TimeElapsed: \S+ sec\)", done.body(0))
    assert f" in {APPS / kind} on " in done.texts("WitnessExtension")[0]
