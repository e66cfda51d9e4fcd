"""The one way of an invocation through the host, and what listeners are told of it."""

from __future__ import annotations

import io
from typing import Any

import pytest

from worker_ext.errors import WorkerLost
from worker_ext.host.call import Call, CallOutcome, FunctionFailed, Result
from worker_ext.host.console import Console
from worker_ext.host.functions import HostedFunction
from worker_ext.host.invoker import Invoker, new_invocation_id
from worker_ext.host.storage import Storage
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
    import uuid

    found = {new_invocation_id() for _ in range(100)}
    assert len(found) == 100
    assert {(uuid.UUID(text).version, uuid.UUID(text).variant) for text in found} == {(4, uuid.RFC_4122)}
