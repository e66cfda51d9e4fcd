"""What a function logs and prints reaches the host: with its level, its category and its invocation."""

from __future__ import annotations

import time

import pytest

from worker_ext.testing.rpc_host import RpcHost, WorkerGone, messages

APP = """
import asyncio, logging, threading
from concurrent.futures import ThreadPoolExecutor
import azure.functions as func

app = func.FunctionApp()
logging.getLogger("importing").warning("the app is imported")
pool = ThreadPoolExecutor(1)

@app.route(route="levels")
def levels(req: func.HttpRequest) -> str:
    log = logging.getLogger("my.logger")
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(level, "level %d", level)
    logging.getLogger("worker_ext.inner").info("from the worker itself")
    print("printed")
    try:
        raise KeyError("lost")
    except KeyError:
        log.exception("it failed")
    return "done"

@app.route(route="threads")
def threads(req: func.HttpRequest) -> str:
    thread = threading.Thread(target=logging.info, args=("thread",))
    thread.start()
    thread.join()
    pool.submit(logging.info, "pool").result()
    return "done"

@app.route(route="tasks")
async def tasks(req: func.HttpRequest) -> str:
    async def work():
        logging.info("task")
    await asyncio.create_task(work())
    await asyncio.get_running_loop().run_in_executor(None, logging.info, "executor")
    await asyncio.to_thread(logging.info, "to_thread")
    return "done"

@app.route(route="waits")
async def waits(req: func.HttpRequest) -> str:
    logging.info("before")
    await asyncio.sleep(3600)
"""


@pytest.fixture
def host(make_host) -> RpcHost:
    return make_host({"function_app.py": APP})


def logs_of(host: RpcHost, invocation_id: str) -> list[messages.RpcLog]:
    return [log for log in host.logs if log.invocation_id == invocation_id]


def test_lines_have_levels_and_categories_and_come_before_the_answer(host):
    host.http("levels", invocation_id="one")
    logs = logs_of(host, "one")
    found = [(log.message, messages.RpcLog.Level.Name(log.level), log.category) for log in logs[:6]]
    assert found == [
        ("level 20", "Information", "my.logger"),
        ("level 30", "Warning", "my.logger"),
        ("level 40", "Error", "my.logger"),
        ("level 50", "Critical", "my.logger"),
        ("from the worker itself", "Information", "worker_ext.inner"),
        ("printed", "Information", ""),
    ]
    kinds = {log.category: log.log_category for log in logs}
    assert kinds["my.logger"] == messages.RpcLog.RpcLogCategory.Value("User")
    assert kinds["worker_ext.inner"] == messages.RpcLog.RpcLogCategory.Value("System")
    assert "it failed" in logs[6].message
    assert "KeyError: 'lost'" in logs[6].message


def test_debug_lines_are_collected_if_asked_for(make_host):
    host = make_host({"function_app.py": APP}, environ={"PYTHON_ENABLE_DEBUG_LOGGING": "1"})
    host.http("levels", invocation_id="one")
    assert ("level 10", messages.RpcLog.Debug) in [(log.message, log.level) for log in logs_of(host, "one")]


@pytest.mark.parametrize(
    ("function", "lines"), [("threads", ["thread", "pool"]), ("tasks", ["task", "executor", "to_thread"])]
)
def test_lines_of_threads_tasks_and_pools_belong_to_the_invocation(host, function, lines):
    for invocation_id in ("first", "second"):  # the second one meets the threads of the first
        host.http(function, invocation_id=invocation_id)
        assert [log.message for log in logs_of(host, invocation_id)] == lines


def test_lines_of_no_invocation_are_the_workers(host):
    host.wait_until(lambda: any(log.category == "importing" for log in host.logs))
    (line,) = [log for log in host.logs if log.category == "importing"]
    assert line.message == "the app is imported"
    assert line.log_category == messages.RpcLog.RpcLogCategory.Value("System")


ENDS = "import logging, os\n{}\nos._exit(3)\ndef main(req): pass\n"


@pytest.mark.parametrize("write", ["print('the last words')", "logging.warning('the last words')"])
@pytest.mark.parametrize("model", ["v1", "v2"])
def test_what_an_app_writes_before_it_ends_its_worker_is_told(make_host, model, write):
    source, trigger = ENDS.format(write), {"type": "httpTrigger", "direction": "in", "name": "req"}
    v1 = {"hello/function.json": {"bindings": [trigger]}, "hello/__init__.py": source}
    host = make_host(v1 if model == "v1" else {"function_app.py": source}, loads=False)
    with pytest.raises(WorkerGone):
        host.start()
    assert host.lines() == ["the last words"]
    assert host.process.wait(host.deadline) == 3


def test_lines_of_an_invocation_that_takes_long_are_sent_meanwhile(host):
    data = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))
    running = host.invoke("waits", {"req": data}, invocation_id="long")
    host.wait_until(lambda: bool(logs_of(host, "long")))
    assert not running.done()


CANCELLED = """
import asyncio, time
import azure.functions as func

app = func.FunctionApp()

@app.route(route="awaits")
async def awaits(req: func.HttpRequest) -> str:
    try:
        print("waiting", flush=True)
        await asyncio.sleep(3600)
    finally:
        print("cleaned up")

@app.route(route="looks")
def looks(req: func.HttpRequest, context: func.Context) -> str:
    print("waiting", flush=True)
    return "cancelled" if context.cancelled.wait(60) else "not cancelled"

@app.route(route="raises")
async def raises(req: func.HttpRequest) -> str:
    raise asyncio.CancelledError

@app.route(route="exits")
def exits(req: func.HttpRequest) -> str:
    raise SystemExit(1)

@app.route(route="exits_async")
async def exits_async(req: func.HttpRequest) -> str:
    raise SystemExit(1)

@app.route(route="interrupts")
async def interrupts(req: func.HttpRequest) -> str:
    raise KeyboardInterrupt

@app.route(route="fine")
def fine(req: func.HttpRequest) -> str:
    return "fine"
"""


@pytest.fixture
def cancelling(make_host) -> RpcHost:
    return make_host({"function_app.py": CANCELLED})


def cancelled(host: RpcHost, function: str) -> messages.InvocationResponse:
    data = messages.TypedData(http=messages.RpcHttp(method="GET", url="http://localhost/"))
    running = host.invoke(function, {"req": data}, invocation_id="it")
    host.wait_until(lambda: "waiting" in host.lines("it"))
    host.cancel("it")
    return running.result(20)


def test_cancelling_an_async_function_raises_in_it(cancelling):
    response = cancelled(cancelling, "awaits")
    assert response.result.status == messages.StatusResult.Cancelled
    assert cancelling.lines("it") == ["waiting", "cleaned up"]


def test_a_sync_function_can_look_whether_it_is_cancelled(cancelling):
    assert cancelled(cancelling, "looks").return_value.string == "cancelled"


def test_cancelling_what_does_not_run_does_nothing(cancelling):
    cancelling.cancel("nothing")
    assert cancelling.http("fine").return_value.string == "fine"


@pytest.mark.parametrize("function", ["raises", "exits", "exits_async", "interrupts"])
def test_whatever_a_function_raises_is_answered_and_harms_nobody(cancelling, function):
    assert cancelling.http(function).result.status == messages.StatusResult.Failure
    assert cancelling.http("fine").return_value.string == "fine"


def test_the_error_of_a_function_has_its_traceback(make_host):
    source = CANCELLED + "\n@app.route(route='bad')\ndef bad(req: func.HttpRequest) -> str:\n    return 1 / 0\n"
    host = make_host({"function_app.py": source})
    exception = host.http("bad").result.exception
    assert exception.message == "ZeroDivisionError: division by zero"
    assert "return 1 / 0" in exception.stack_trace
    assert "worker_ext" not in exception.stack_trace.replace(str(host.folder), "")


def test_the_worker_ends_within_a_second_of_its_host(make_host):
    host = make_host({"function_app.py": CANCELLED})
    host.close()
    begun = time.monotonic()
    host.process.wait(20)
    assert time.monotonic() - begun < 4  # one second, and more for a busy machine
