"""``func extensions list``: what is in an app, as the app's own Python has it."""

from __future__ import annotations

import json

import pytest
from support.hosting import write_app

APP = """
print("the app prints")
import azure.functions as func
from worker_ext import AppExtensionBase, FuncExtensionBase

app = func.FunctionApp()


class Audit(FuncExtensionBase):
    priority = 2

    def around_invocation(self, logger, context, func_args):
        return (yield)


class Auth(AppExtensionBase):
    required = True

    @classmethod
    def around_invocation_app_level(cls, logger, context, func_args):
        return (yield)

    @classmethod
    def pre_invocation_app_level(cls, logger):
        pass


@app.route("one")
@Audit().attach
def One(req): pass


@app.route("two")
def Two(req): pass
"""


@pytest.fixture
def listed(func, folder):
    """Write an app with settings, and list its extensions."""

    def listed(*options, source=APP, **values):
        settings = {"IsEncrypted": False, "Values": {"FUNCTIONS_WORKER_RUNTIME": "python", **values}}
        write_app(folder, {"function_app.py": source, "local.settings.json": json.dumps(settings)})
        return func("extensions", "list", *options)

    return listed


def test_json(listed, folder):
    done = listed(
        "--json",
        PYTHON_ENABLE_WORKER_EXTENSIONS="1",
        WORKER_EXT_EXTENSIONS="timer",
        WORKER_EXT_TIMER__SERVER_TIMING="true",
    )
    assert (done.returncode, done.stderr) == (0, "the app prints\n")
    found = json.loads(done.stdout)
    assert (found["enabled"], found["functions"]) == (True, ["One", "Two"])
    timer, auth, audit = found["extensions"]
    assert [extension["order"] for extension in found["extensions"]] == [1, 2, 3]
    assert (timer["name"], timer["package"], timer["version"]) == (
        "TimerExtension",
        "python-worker-extension-timer",
        "1.0.0",
    )
    assert timer["source"] == "WORKER_EXT_EXTENSIONS (timer)"
    assert timer["hooks"] == ["pre_invocation_app_level", "post_invocation_app_level"]
    assert (auth["level"], auth["required"], auth["scope"]) == ("app", True, ["One", "Two"])
    assert "too many positional arguments" in auth["refused"]["pre_invocation_app_level"]
    assert (auth["source"], auth["package"]) == ("import of function_app", "")
    assert auth["file"] == str(folder / "function_app.py")
    assert (audit["name"], audit["level"], audit["priority"], audit["scope"]) == ("Audit", "function", 2, ["One"])


def test_text(listed):
    done = listed()
    head, auth, audit, _, refused, _, off = done.stdout.splitlines()
    assert head.split() == ["NAME", "VERSION", "SCOPE", "HOOKS", "SOURCE"]
    assert auth.split() == [
        *("1", "Auth", "-", "all", "functions", "(required)"),
        *("pre_invocation,", "around_invocation", "import", "of", "function_app"),
    ]
    assert audit.split() == ["2", "Audit", "-", "One", "around_invocation", "import", "of", "function_app"]
    assert refused.startswith("Auth.pre_invocation_app_level is not run: it is declared as Auth.")
    assert off.startswith("None of them runs: PYTHON_ENABLE_WORKER_EXTENSIONS is off.")


def test_none(listed):
    source = "import azure.functions as func\napp = func.FunctionApp()\n@app.route('x')\ndef X(req): pass"
    assert listed(source=source).stdout == "No extensions.\n"


@pytest.mark.parametrize(
    ("source", "values", "reason"),
    [
        ("import nowhere_at_all", {}, "No module named 'nowhere_at_all'"),
        (APP, {"WORKER_EXT_EXTENSIONS": "timre"}, "Did you mean timer?"),
        ("import os; os._exit(3)", {}, "ended with status 3 while it loaded the app"),
        (APP, {"languageWorkers__python__defaultExecutablePath": "/nowhere/python"}, "/nowhere/python cannot be run"),
    ],
)
def test_an_app_that_cannot_be_loaded(listed, source, values, reason):
    done = listed(source=source, **values)
    assert done.returncode == 1
    assert reason in done.stderr
