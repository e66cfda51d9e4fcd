"""Less common ways to hooks: imports that come late, extensions with a scope, hooks that fail."""

from __future__ import annotations

from bridge.conftest import get
from support.hosting import write_app

LATE = """
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("first")
def first(req: func.HttpRequest) -> func.HttpResponse:
    import worker_ext, witness
    return func.HttpResponse("first")


@app.route("second")
async def second(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("second")
"""


def test_a_v2_app_may_import_worker_ext_when_its_functions_are_known_already(run_stock, tmp_path):
    app = write_app(tmp_path, {"function_app.py": LATE.replace("def first", "async def first")})
    done = run_stock(app, [get("first"), get("second"), get("first")])
    assert [done.body(number) for number in range(3)] == ["first", "second", "first"]
    assert done.texts("WitnessExtension", 0) == []
    for number, name in {1: "second", 2: "first"}.items():
        assert done.texts("WitnessExtension", number)[0] == f"before {name}(req) in {tmp_path} on loop"


def test_on_a_pool_thread_it_is_too_late_for_that(run_stock, tmp_path):
    done = run_stock(write_app(tmp_path, {"function_app.py": LATE}), [get("first"), get("second")])
    assert [done.body(0), done.body(1)] == ["first", "second"]
    (warning,) = done.warnings
    assert "inactive: worker_ext has been imported in the course of an invocation" in warning
    assert "at the top of function_app.py" in warning


SCOPED = """
from worker_ext import AppExtensionBase, FuncExtensionBase


class Queues(AppExtensionBase):
    triggers = "queue"

    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        logger.info("before %s", context.function_name)


class Attached(FuncExtensionBase):
    def pre_invocation(self, logger, context, func_args=None, *args, **kwargs):
        logger.info("before %s", context.function_name)


attached = Attached()
"""

SCOPED_V2 = """
import azure.functions as func
from scoped import attached

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
orders = func.Blueprint()
attached.attach(orders)


@orders.route("order")
def order(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("ordered")


@app.queue_trigger(arg_name="message", queue_name="in", connection="Storage")
def queued(message: str) -> None:
    pass


app.register_functions(orders)
"""


def test_extensions_apply_to_blueprints_and_kinds_of_triggers(run_stock, tmp_path):
    app = write_app(tmp_path, {"function_app.py": SCOPED_V2, "scoped.py": SCOPED})
    done = run_stock(app, [get("order"), {"function": "queued", "inputs": {"message": {"string": "text"}}}])
    assert done.texts("Queues") == ["before queued"]
    assert done.texts("Attached") == ["before order"]


def test_kinds_of_triggers_in_v1_apps(run_stock, tmp_path):
    queue = {"bindings": [{"type": "queueTrigger", "direction": "in", "name": "message"}]}
    body = "def main(message: str) -> None:\n    pass\n"
    files = {
        "first/__init__.py": body,
        "first/function.json": queue,
        "second/__init__.py": f"import scoped\n\n\n{body}",
        "second/function.json": queue,
        "scoped.py": SCOPED,
    }
    calls = [{"function": name, "inputs": {"message": {"string": "text"}}} for name in ("first", "second")]
    done = run_stock(write_app(tmp_path, files), calls)
    assert done.texts("Queues") == ["before first", "before second"]


def test_a_function_whose_declaration_only_the_host_can_read_runs_as_ever(run_stock, tmp_path):
    trigger = {"type": "queueTrigger", "direction": "in", "name": "message"}
    declared = {"bindings": [trigger], "note": "x" * 1_000_000}  # longer than is read of such files
    source = "import azure.functions as func\nimport scoped\n\n\ndef main(message: func.QueueMessage): ...\n"
    files = {"long/__init__.py": source, "long/function.json": declared, "scoped.py": SCOPED}
    done = run_stock(write_app(tmp_path, files), [{"function": "long", "inputs": {"message": {"string": "text"}}}])
    assert done.load_failures == {}
    assert done.answers[0]["failure"] is None
    assert done.texts("Queues") == ["before long"]


FAILING_HOOKS = """
import azure.functions as func
import worker_ext


class Rude(func.AppExtensionBase):
    @classmethod
    def pre_invocation_app_level(cls, logger, context, func_args=None, *args, **kwargs):
        func_args["undeclared"] = 1
        raise SystemExit(3)


app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route("sync")
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("sync")


@app.route("asynchronous")
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("async")
"""


def test_what_a_hook_raises_is_logged_and_no_more(run_stock, tmp_path):
    done = run_stock(write_app(tmp_path, {"function_app.py": FAILING_HOOKS}), [get("sync"), get("asynchronous")])
    assert [done.body(0), done.body(1)] == ["sync", "async"]
    assert [text.partition("\n")[0] for text in done.texts("Rude")] == [
        "pre_invocation_app_level failed: SystemExit(3)"
    ] * 2
