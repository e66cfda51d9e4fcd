"""A runtime that is not as it was: its functions run as ever, and one warning says that hooks do not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest
from bridge.conftest import get
from support.hosting import write_app

V2 = """
import azure.functions as func
{before}
import worker_ext
{after}
from witness import WitnessExtension

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("sync")
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("sync")


@app.route("async")
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("async")
"""

V1 = """
import azure.functions as func
{before}
import worker_ext
{after}
import witness

def main(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("sync")
"""

HTTP = {
    "bindings": [
        {"type": "httpTrigger", "direction": "in", "name": "req"},
        {"type": "http", "direction": "out", "name": "$return"},
    ]
}

UNKNOWN_PACKAGE = """
import sys
for name in [name for name in sys.modules if name.startswith("azure_functions_runtime")]:
    del sys.modules[name]
"""

V2_CHANGES = {
    "another package": (UNKNOWN_PACKAGE, "", "by a package that is not known"),
    "no context for functions": (
        """
        from azure_functions_runtime.functions import Registry
        Registry.is_context_required = staticmethod(lambda params, *others: bool(params.pop("context", None)) and False)
        """,
        "",
        "without a context",
    ),
    "no such class in the SDK": (
        "register = func.FunctionRegister; del func.FunctionRegister",
        "func.FunctionRegister = register",
        "azure.functions has no FunctionRegister",
    ),
    "no event loop": (
        """
        import asyncio
        def no_loop(): raise RuntimeError("no running event loop")
        get_running_loop, asyncio.get_running_loop = asyncio.get_running_loop, no_loop
        """,
        "",
        "on its event loop",
    ),
}

V1_CHANGES = {
    "another package": (UNKNOWN_PACKAGE, "", "by a package that is not known"),
    "another module": (
        "import sys; del sys.modules['azure_functions_runtime_v1.functions']",
        "",
        "azure_functions_runtime_v1 has no module functions",
    ),
    "another kind of registry": (
        "from azure_functions_runtime_v1 import handle_event; kept = vars(handle_event._functions).pop('_functions')",
        "vars(handle_event._functions)['_functions'] = kept",
        "Registry has no _functions",
    ),
    "other entries": (
        """
        from types import SimpleNamespace
        from azure_functions_runtime_v1 import functions
        functions.FunctionInfo = SimpleNamespace
        """,
        "",
        "keeps functions in another way",
    ),
}


def changed_app(folder: Path, model: str, before: str, after: str) -> Path:
    """Write an app that changes the runtime before it imports ``worker_ext``, and does something else after that."""
    code = {"v2": V2, "v1": V1}[model].format(before=dedent(before), after=dedent(after))
    if model == "v2":
        return write_app(folder, {"function_app.py": code})
    return write_app(folder, {"sync/__init__.py": code, "sync/function.json": HTTP})


CHANGES = {"v2": V2_CHANGES, "v1": V1_CHANGES}


@pytest.mark.parametrize(("model", "change"), [(model, change) for model in CHANGES for change in CHANGES[model]])
def test_one_warning_and_no_hooks(run_stock, tmp_path, model, change):
    before, after, reason = CHANGES[model][change]
    functions = {"sync": "sync", "asynchronous": "async"} if model == "v2" else {"sync": "sync"}
    app = changed_app(tmp_path, model, before, after)
    done = run_stock(app, [get(function) for function in functions], options=["--functions-worker-id", "1"])
    assert len(done.warnings) == 1
    assert "hooks of extensions are inactive" in done.warnings[0]
    assert reason in done.warnings[0]
    assert [done.body(number) for number in range(len(functions))] == list(functions.values())
    assert done.texts("WitnessExtension") == []
