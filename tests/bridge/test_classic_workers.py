"""The worker for Python up to 3.12 runs classic hooks by itself: there the bridge runs the added ones, and no others.

It is not to be had from a package index. ``support/classic_worker.py`` says what stands in for it.
"""

from __future__ import annotations

import json

import pytest
from bridge.conftest import APPS, Run, RunStock, get, start_stock
from bridge.test_v2_apps import ENTITY
from support.hosting import write_app

CALLS = [
    get("plain"),
    get("asynchronous"),
    get("failing"),
    {"function": "counting", "inputs": {"context": {"string": json.dumps(ENTITY)}}},
]


@pytest.fixture(scope="module")
def app(run_stock: RunStock) -> Run:
    """A v2 app."""
    return run_stock(APPS / "classic", CALLS, as_classic=True)


@pytest.fixture(scope="module")
def v1_app(run_stock: RunStock) -> Run:
    """A v1 app."""
    return run_stock(APPS / "classic_v1", [get("Plain")], as_classic=True)


def test_each_classic_hook_runs_once_with_the_added_ones_inside(app, v1_app):
    calls = {"plain": "post", "asynchronous": "post", "failing": "failed", "counting": "post"}
    steps = [f"{step} {name}" for name, last in calls.items() for step in ("pre", "around", last)]
    assert [line for line in app.told("both:") if not line.startswith("loaded")] == steps
    assert v1_app.told("both:") == ["loaded Plain", "pre Plain", "around Plain", "post Plain"]


def test_load_hooks_run_once(app):
    assert [line for line in app.told("both:") if line.startswith("loaded")] == [
        f"loaded {call['function']}" for call in CALLS
    ]


def test_classic_hooks_see_only_the_functions_own_arguments(app):
    before = [line for line in app.texts("azure_functions_worker.extension.WitnessExtension") if "before" in line]
    assert [line.partition(" in ")[0] for line in before] == [
        "before plain(req)",
        "before asynchronous(context,req)",
        "before failing(req)",
        "before counting(context)",
    ]


def test_functions_and_contexts_are_the_same_for_both_kinds_of_hooks(app):
    assert app.body(0) == "plain"
    assert app.body(1) == "async hello"
    assert app.answers[2]["failure"]["message"] == "ValueError: no such order"
    assert app.answers[3]["failure"] is None
    assert app.warnings == []


ASYNC_HOOK = """
import azure.functions as func
from worker_ext import AppExtensionBase

class Late(AppExtensionBase):
    required = {required}

    @classmethod
    async def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        pass

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        return (yield)

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("served")
"""


def test_a_classic_hook_that_nobody_would_await_is_warned_of(run_stock, tmp_path):
    app = write_app(tmp_path, {"function_app.py": ASYNC_HOOK.format(required=False)})
    done = run_stock(app, [get("plain"), get("plain")], as_classic=True)
    assert done.body(1) == "served"
    assert done.texts("Late") == [
        "pre_invocation_app_level is not run: Late.pre_invocation_app_level is async def, "
        "and the worker that runs it does not await it"
    ]


def test_a_required_extension_with_such_a_hook_is_not_served(tmp_path):
    app = write_app(tmp_path, {"function_app.py": ASYNC_HOOK.format(required=True)})
    done = start_stock(app, {"calls": [get("plain")], "as_classic": True}, flag="1")
    assert "is async def, which this worker would never await" in done.stdout
    assert "served" not in done.stdout
