"""A runtime that is not as it was: its functions run as ever, and one warning says that hooks do not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from bridge.conftest import Run, RunStock, get
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


def run_changed(run_stock: RunStock, folder: Path, source: str, before: str, after: str, **job: Any) -> Run:
    code = source.format(before=dedent(before), after=dedent(after))
    is_v2 = source is V2
    files = {"function_app.py": code} if is_v2 else {"sync/__init__.py": code, "sync/function.json": HTTP}
    calls = [get("sync"), get("asynchronous")] if is_v2 else [get("sync")]
    return run_stock(write_app(folder, files), calls, options=["--functions-worker-id", "1"], **job)


@pytest.mark.parametrize(("source", "changes"), [(V2, V2_CHANGES), (V1, V1_CHANGES)], ids=["v2", "v1"])
def test_one_warning_and_no_hooks(run_stock, tmp_path, source, changes):
    for number, (name, (before, after, reason)) in enumerate(changes.items()):
        done = run_changed(run_stock, tmp_path / str(number), source, before, after)
        assert len(done.warnings) == 1, (name, done)
        assert "hooks of extensions are inactive" in done.warnings[0], name
        assert reason in done.warnings[0], name
        assert [done.body(number) for number in range(len(done.answers))] == ["sync", "async"][: len(done.answers)], (
            name
        )
        assert done.texts("WitnessExtension") == [], name
