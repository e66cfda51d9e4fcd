"""v1 apps in Microsoft's runtime for Python 3.13: one function's script imports ``worker_ext``, for all of them."""

from __future__ import annotations

import json
import re

import pytest
from bridge.conftest import APPS, Run, RunStock, get
from bridge.test_v2_apps import ORCHESTRATION

FOLDER = APPS / "v1"

CALLS = [
    get("First"),
    get("Second"),
    get("Third"),
    {"function": "Orchestrating", "inputs": {"context": {"string": json.dumps(ORCHESTRATION)}}},
]
NAMES = [call["function"] for call in CALLS]


@pytest.fixture(scope="module")
def app(run_stock: RunStock) -> Run:
    """The app: ``First`` is loaded before, the others after ``Second`` has imported ``worker_ext``."""
    return run_stock(FOLDER, CALLS, load=NAMES)


@pytest.fixture(scope="module")
def bare(run_stock: RunStock) -> Run:
    """The same without the flag: the runtime by itself."""
    return run_stock(FOLDER, CALLS, load=NAMES, flag=None)


@pytest.mark.parametrize("number", range(len(CALLS)), ids=NAMES)
def test_hooks_run_around_functions_loaded_before_and_after(app, number):
    name = NAMES[number]
    arguments = {"Second": "context,req", "Orchestrating": "context"}.get(name, "req")
    thread = "loop" if name == "Second" else "pool"
    before, *after = app.texts("WitnessExtension", number)
    assert before == f"before {name}({arguments}) in {FOLDER / name} on {thread}"
    assert bool(after) == (name != "Third")


def test_the_functions_answer_as_they_do_without_hooks(app, bare):
    assert app.body(0) == bare.body(0) == "first"
    assert app.answers[3] == bare.answers[3]
    assert app.answers[3]["failure"] is None


def test_the_context_is_the_very_object_that_the_function_gets(app):
    assert app.body(1) == "second hello"


def test_what_the_function_raises_is_told_with_the_users_own_lines(app):
    assert app.answers[2]["failure"]["message"] == "ValueError: no such order"
    assert f'{FOLDER / "Third" / "__init__.py"}", line 5, in main' in app.answers[2]["failure"]["traceback"]


def test_load_hooks_run_once_for_each_function(app):
    assert app.told("witness: loaded") == [f"{name} in {FOLDER / name}" for name in NAMES]


def test_a_function_level_extension_applies_to_its_own_function(app):
    assert app.texts("FunctionWitness") == ["before Second", "after Second"]


def test_without_the_flag_nothing_is_touched(bare):
    assert bare.texts("WitnessExtension") == []
    assert "worker_ext" not in bare.answers[2]["failure"]["traceback"]
    assert re.search("AttributeError.*greeting", bare.answers[1]["failure"]["message"])
    assert bare.warnings == []
