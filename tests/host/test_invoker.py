"""The one way of an invocation through the host, and what listeners are told of it."""

from __future__ import annotations

import asyncio
import io
import json
import subprocess
import sys
import uuid
from datetime import timedelta
from typing import Any

import pytest

from worker_ext.errors import WorkerBusy, WorkerLost
from worker_ext.host.bindings.base import BindingFailed
from worker_ext.host.call import Call, CallOutcome, FunctionFailed, Result
from worker_ext.host.console import Console
from worker_ext.host.functions import HostedFunction
from worker_ext.host.invoker import Invoker, new_invocation_id
from worker_ext.host.retries import delay
from worker_ext.host.settings import RetryOptions
from worker_ext.host.storage import Storage
from worker_ext.host.triggers.base import TriggerEvent
from worker_ext.invocation import LogRecord

HELLO = HostedFunction("hello", {"type": "httpTrigger", "name": "req"})


class Workers:
    """Stands in for the supervisor: it keeps the calls, and the test answers them."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def submit(self, call: Call) -> None:
        self.calls.append(call)

    @property
    def running(self) -> int:
        return len(self.calls)


class Recorder:
    """A listener that notes what it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def started(self, call: Call) -> None:
        self.told.append(("started", call.function, call.payload))

    def logged(self, call: Call, records: list[LogRecord]) -> None:
        self.told.append(("logged", call.function, [record.message for record in records]))

    def ended(self, call: Call, outcome: CallOutcome) -> None:
        self.told.append(("ended", call.function, outcome))


class Bench:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.workers = Workers()
        self.invoker = Invoker(self.workers, Console(self.stream), Storage())  # type: ignore[arg-type]
        self.recorder = Recorder()
        self.invoker.add_listener(self.recorder)
        self.replies: list[CallOutcome] = []
        self.retries: list[Any] = []

    def invoke(self) -> Call:
        self.invoker.invoke(HELLO, [b"payload"], lambda _, outcome: self.replies.append(outcome), reason="Tested")
        return self.workers.calls[-1]


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_console_listeners_and_whoever_asked_are_told_in_this_order(bench: Bench) -> None:
    call = bench.invoke()
    bench.invoker.logged(call, [LogRecord(20, "", "a line")])
    result = Result(200, [], [b"body"])
    call.answer(result)
    assert bench.recorder.told == [
        ("started", "hello", [b"payload"]),
        ("logged", "hello", ["a line"]),
        ("ended", "hello", result),
    ]
    assert bench.replies == [result]
    executing, executed = bench.stream.getvalue().splitlines()
    assert executing.endswith(f"Executing 'Functions.hello' (Reason='Tested', Id={call.invocation_id})")
    assert f"Executed 'Functions.hello' (Succeeded, Id={call.invocation_id}, Duration=" in executed


@pytest.mark.parametrize(
    ("error", "shown"),
    [(FunctionFailed("ValueError", "no", "its traceback\n"), "its traceback"), (WorkerLost("it died"), "it died")],
)
def test_a_failure_is_shown_with_its_reason(bench: Bench, error: Any, shown: str) -> None:
    bench.invoke().answer(error)
    assert bench.replies == [error]
    assert bench.recorder.told[-1] == ("ended", "hello", error)
    first, second = bench.stream.getvalue().splitlines()[1:]
    assert "Executed 'Functions.hello' (Failed, " in first
    assert second == shown


def test_invocation_ids_are_random_uuids() -> None:
    found = {new_invocation_id() for _ in range(100)}
    assert len(found) == 100
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in found} == {(4, uuid.RFC_4122)}


EVENT = TriggerEvent("string", b"text", "Tested", metadata={"Id": "1"}, names={"id": "1"}, details={"Size": 4})
FAILED = FunctionFailed("ValueError", "no", "traceback")
FIXED = RetryOptions("fixedDelay", 2, delay_interval=timedelta(0))


def envelope(call: Call) -> dict[str, Any]:
    return json.loads(call.payload[0])  # type: ignore[no-any-return]


class TestFunctionsThatNoRequestTriggers:
    async def run(self, bench: Bench, function: HostedFunction, *outcomes: CallOutcome, **more: Any) -> CallOutcome:
        """Run a function whose tries end with these outcomes."""
        running = asyncio.ensure_future(bench.invoker.run(function, EVENT, **more))
        for at, outcome in enumerate(outcomes, 1):
            async with asyncio.timeout(10):
                while len(bench.workers.calls) < at:
                    await asyncio.sleep(0)
            bench.retries.append(envelope(bench.workers.calls[-1])["retry"])
            bench.workers.calls[-1].answer(outcome)
        return await asyncio.wait_for(running, 10)

    def function(self, retry: RetryOptions | None) -> HostedFunction:
        return HostedFunction("handle", {"type": "someTrigger", "name": "data"}, retry=retry)

    def test_what_has_happened_reaches_the_worker_and_the_console(self, bench: Bench) -> None:
        ok = Result(0, [], [])
        assert asyncio.run(self.run(bench, self.function(None), ok)) is ok
        assert bench.recorder.told[0][2][1:] == [b"data", b"string", b"text"]
        assert "Trigger Details: Size: 4" in bench.stream.getvalue()
        assert bench.retries == [None]

    def test_it_is_tried_again_as_its_policy_says_and_told_of_it(self, bench: Bench) -> None:
        assert asyncio.run(self.run(bench, self.function(FIXED), FAILED, WorkerLost("died"), FAILED)) is FAILED
        assert bench.retries == [[0, 2, ""], [1, 2, "ValueError: no"], [2, 2, "died"]]
        assert len({call.invocation_id for call in bench.workers.calls}) == 3
        assert "handle is tried again in 0:00:00 (retry 2, 2 at most)." in bench.stream.getvalue()

    def test_success_ends_the_tries(self, bench: Bench) -> None:
        ok = Result(0, [], [])
        forever = RetryOptions("fixedDelay", -1, delay_interval=timedelta(0))
        assert asyncio.run(self.run(bench, self.function(forever), *[FAILED] * 5, ok)) is ok

    def test_what_has_not_run_is_not_tried_again(self, bench: Bench) -> None:
        busy = WorkerBusy("stopping")
        assert asyncio.run(self.run(bench, self.function(FIXED), busy)) is busy

    def test_a_retry_does_not_outlast_its_trigger(self, bench: Bench) -> None:
        slow = RetryOptions("fixedDelay", 2, delay_interval=timedelta(hours=1))

        async def test() -> CallOutcome:
            stopping = asyncio.Event()
            asyncio.get_running_loop().call_later(0.05, stopping.set)
            return await self.run(bench, self.function(slow), FAILED, stopping=stopping)

        assert asyncio.run(test()) is FAILED

    @pytest.mark.parametrize(("text", "kind"), [("text", b"string"), ('{"id": "5"}', b"json"), ("[1]", b"json")])
    def test_by_hand_its_trigger_gives_what_somebody_says(self, bench: Bench, text: str, kind: bytes) -> None:
        async def test() -> None:
            running = asyncio.ensure_future(bench.invoker.run_by_hand(self.function(None), text))
            while not bench.workers.calls:
                await asyncio.sleep(0)
            assert bench.workers.calls[0].payload[1:] == [b"data", kind, text.encode()]
            bench.workers.calls[0].answer(Result(0, [], []))
            assert isinstance(await running, Result)

        asyncio.run(test())


def test_delays_grow_up_to_the_longest() -> None:
    policy = RetryOptions(
        "exponentialBackoff", 9, minimum_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=10)
    )
    assert [delay(policy, tries, 0.5).total_seconds() for tries in range(5)] == [1, 2, 4, 8, 10]
    assert delay(policy, 1, 0.0) < delay(policy, 1, 0.5) < delay(policy, 1, 1.0)
    assert delay(policy, 10**6, 1.0) == timedelta(seconds=10)


class Shelf:
    """A binding that reads and writes a dict, or fails."""

    name = "shelf"

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = content

    async def read(self, storage: Storage, data: Any) -> tuple[str, bytes]:
        if "error" in self.content:
            raise self.content["error"]
        return "string", self.content[data["id"]]

    async def write(self, storage: Storage, data: Any, kind: str, value: bytes) -> None:
        if "error" in self.content:
            raise self.content["error"]
        self.content[data["id"]] = (kind, value)


def test_inputs_are_read_before_and_outputs_written_after(bench: Bench) -> None:
    shelf = Shelf({"1": b"given"})
    function = HostedFunction("f", {"type": "someTrigger", "name": "data"}, inputs=[shelf], outputs={"shelf": shelf})
    result = Result(0, [("shelf", "string", b"made"), ("other", "json", b"{}")], [])

    async def test() -> None:
        running = asyncio.ensure_future(bench.invoker.run(function, EVENT))
        while not bench.workers.calls:
            await asyncio.sleep(0)
        assert bench.workers.calls[0].payload[4:] == [b"shelf", b"string", b"given"]
        bench.workers.calls[0].answer(result)
        assert await running is result
        await bench.invoker.close()

    asyncio.run(test())
    assert shelf.content["1"] == ("string", b"made")
    assert "The output 'other' (return value, 2 bytes) is not delivered by this host." in bench.stream.getvalue()


@pytest.mark.parametrize("error", [BindingFailed("no such shelf"), OSError("no such shelf")])
@pytest.mark.parametrize("fails", ["input", "output"])
def test_a_binding_that_fails_fails_the_invocation(bench: Bench, error: Exception, fails: str) -> None:
    good, bad = Shelf({"1": b"given"}), Shelf({"error": error})
    inputs, outputs = ([bad], {"shelf": good}) if fails == "input" else ([good], {"shelf": bad})
    function = HostedFunction("f", {"type": "someTrigger", "name": "data"}, inputs=inputs, outputs=outputs)

    async def test() -> CallOutcome:
        running = asyncio.ensure_future(bench.invoker.run(function, EVENT))
        if fails == "output":
            while not bench.workers.calls:
                await asyncio.sleep(0)
            bench.workers.calls[0].answer(Result(0, [("shelf", "string", b"made")], []))
        return await asyncio.wait_for(running, 10)

    outcome = asyncio.run(test())
    assert isinstance(outcome, BindingFailed)
    assert "no such shelf" in str(outcome)
    assert "Executed 'Functions.f' (Failed, " in bench.stream.getvalue()


def test_what_storage_needs_is_imported_only_by_apps_that_use_it() -> None:
    code = "import sys, worker_ext.host.app, worker_ext.host.http_front, worker_ext.host.functions;"
    code += "import worker_ext.host.triggers.runner;"
    code += "print([name for name in ('azure', 'aiohttp', 'sqlite3', 'zoneinfo') if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
