"""The hooks that this package adds to the stock contract run in Microsoft's runtime, too."""

from __future__ import annotations

import pytest
from bridge.conftest import APPS, Run, RunStock, get, start_stock
from support.hosting import write_app


@pytest.fixture(scope="module")
def app(run_stock: RunStock) -> Run:
    """A v2 app with all of them."""
    return run_stock(APPS / "added", [get("plain"), get("asynchronous"), get("failing")], at_once=True)


@pytest.fixture(scope="module")
def v1_app(run_stock: RunStock) -> Run:
    """A v1 app with all of them."""
    return run_stock(APPS / "added_v1", [get("Plain"), get("Failing")], load=["Plain", "Failing"])


def steps(run: Run, number: int) -> list[str]:
    """What the two surrounding extensions did in a call, in order."""
    names = ("Outer", "Inner")
    return [
        line["text"] for line in run.lines if line["logger"] in names and line["invocation"] == f"invocation-{number}"
    ]


def test_around_a_sync_function_async_hooks_run_on_the_workers_loop_and_the_others_on_the_functions_thread(app):
    assert app.body(0) == "plain"
    assert steps(app, 0) == [
        "async pre on loop",
        "around begins on pool",
        "coroutine begins on loop",
        "coroutine ends",
        "around ends for plain",
    ]


def test_around_an_async_function_all_run_on_the_loop(app):
    assert app.body(1) == "async"
    assert steps(app, 1) == [
        "async pre on loop",
        "around begins on loop",
        "coroutine begins on loop",
        "coroutine ends",
        "around ends for asynchronous",
    ]


def test_error_hooks_see_what_the_function_raised(app):
    assert app.answers[2]["failure"]["message"] == "ValueError: no such order"
    assert steps(app, 2)[-1] == "failed with ValueError('no such order')"


def test_log_hooks_change_and_drop_what_user_code_logs(app):
    assert app.texts("root") == ["(hidden from plain)", "a sound"]


def test_the_process_hooks_run_once_before_the_first_invocation_and_when_it_ends(app, v1_app):
    for run in (app, v1_app):
        assert [line for line in run.printed if line.startswith(("started", "shut"))] == ["started 1 on loop"]
        assert run.after_the_end == ["shut down"]


def test_v1_apps(v1_app):
    assert v1_app.body(0) == "plain"
    assert steps(v1_app, 0)[-1] == "around ends for Plain"
    assert v1_app.answers[1]["failure"]["message"] == "ValueError: no such order"
    assert steps(v1_app, 1)[-1] == "failed with ValueError('no such order')"


NAMED_APP = """
import azure.functions as func
import worker_ext

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("plain")
def plain(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("plain")
"""


def test_an_extension_that_the_settings_name_runs_without_being_imported(run_stock, tmp_path):
    app = write_app(
        tmp_path,
        {
            "function_app.py": NAMED_APP,
            "witness-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: witness\nVersion: 1.0\n",
            "witness-1.0.dist-info/entry_points.txt": "[worker_ext.extensions]\nwitness = witness:WitnessExtension\n",
        },
    )
    done = run_stock(app, [get("plain")], environ={"WORKER_EXT_EXTENSIONS": "witness"})
    assert done.texts("WitnessExtension")[0].startswith("before plain(req)")


def test_a_v2_app_is_not_indexed_without_what_the_settings_name(run_stock, tmp_path):
    app = write_app(tmp_path, {"function_app.py": NAMED_APP})
    done = run_stock(app, environ={"WORKER_EXT_EXTENSIONS": "nothing"})
    assert "nothing" in done.failure["message"]


def test_the_process_of_a_v1_app_ends_without_what_the_settings_name():
    job = {"calls": [get("Plain")], "load": ["Failing", "Plain"]}
    done = start_stock(APPS / "added_v1", job, flag="1", environ={"WORKER_EXT_EXTENSIONS": "nothing"})
    assert done.returncode == 1
    assert "nothing" in done.stderr
