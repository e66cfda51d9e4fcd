"""Timers: when their functions run, what they are told, and what is kept between starts of the host."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.clock import ManualClock
from support.hosting import running_host, wait_until, write_app

from worker_ext.errors import ConfigurationError, InvocationError, WorkerBusy
from worker_ext.host.app_state import AppState
from worker_ext.host.bindings.base import Scope
from worker_ext.host.console import Console
from worker_ext.host.storage import Storage
from worker_ext.host.triggers.base import TriggerEvent, TriggerServices
from worker_ext.host.triggers.timer import TimerTrigger

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Bench:
    """A host of one timer, whose clock the test sets and whose function is the test."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock(NOON)
        self.stream = io.StringIO()
        self.folder = folder
        self.runs: list[dict[str, Any]] = []
        self.events: list[TriggerEvent] = []
        self.finish: asyncio.Event | None = None
        self.failure: InvocationError | None = None

    async def function(self, event: TriggerEvent) -> InvocationError | None:
        self.events.append(event)
        self.runs.append({"at": self.clock.now(), **json.loads(event.data)})
        if self.finish is not None:
            await self.finish.wait()
        return self.failure

    def start(self, *, environ: dict[str, str] | None = None, **binding: Any) -> Watching:
        trigger = TimerTrigger({"name": "t", **binding}, Scope("tick", environ or {}))
        stopping = asyncio.Event()
        services = TriggerServices(
            self.function, stopping, Console(self.stream), self.clock, AppState(self.folder / "state"), Storage()
        )
        return Watching(asyncio.ensure_future(trigger.watch(services)), stopping)

    async def run_until(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.runs) < count:
                await asyncio.sleep(0)

    async def tick(self) -> datetime:
        """Go on to the next alarm."""
        alarm = await self.clock.next_alarm()
        await self.clock.advance_to(alarm)
        return alarm

    @property
    def times(self) -> list[str]:
        return [run["at"].strftime("%H:%M:%S") for run in self.runs]


class Watching:
    def __init__(self, task: asyncio.Task[None], stopping: asyncio.Event) -> None:
        self.task = task
        self._stopping = stopping

    async def stop(self) -> None:
        self._stopping.set()
        await asyncio.wait_for(self.task, 10)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


Test = Callable[..., Coroutine[Any, Any, None]]


def in_loop(test: Test) -> Callable[..., None]:
    def run(bench: Bench) -> None:
        asyncio.run(test(bench))

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


@in_loop
async def test_the_function_runs_by_the_schedule_and_is_told_of_it(bench: Bench) -> None:
    watching = bench.start(schedule="0 */5 * * * *")
    for count in (1, 2):
        await bench.tick()
        await bench.run_until(count)
    await watching.stop()
    assert bench.times == ["12:05:00", "12:10:00"]
    second = bench.runs[1]
    assert second["IsPastDue"] is False
    assert second["ScheduleStatus"] == {
        "Last": "2026-11-24T12:05:00+00:00",
        "Next": "2026-11-24T12:10:00+00:00",
        "LastUpdated": "2026-11-24T12:05:00+00:00",
    }
    assert bench.events[0].reason == "Timer fired at 2026-11-24T12:05:00+00:00"


@in_loop
async def test_the_log_shows_the_next_five_occurrences(bench: Bench) -> None:
    await bench.start(schedule="0 0 6 * * *", environ={"WEBSITE_TIME_ZONE": "Europe/Berlin"}).stop()
    shown = bench.stream.getvalue()
    assert "The next 5 occurrences of tick (Cron: '0 0 6 * * *'):" in shown
    assert "  2026-11-25 06:00:00+01:00 (2026-11-25 05:00:00+00:00)\n" in shown
    assert shown.count("06:00:00+01:00") == 5


@in_loop
async def test_runs_never_overlap_what_comes_meanwhile_is_left_out(bench: Bench) -> None:
    bench.finish = asyncio.Event()
    watching = bench.start(schedule="0 * * * * *")
    await bench.tick()
    await bench.run_until(1)
    await bench.clock.advance_to(NOON + timedelta(minutes=3, seconds=30))
    bench.finish.set()
    await bench.tick()
    await bench.run_until(2)
    await watching.stop()
    assert bench.times == ["12:01:00", "12:04:00"]


@in_loop
async def test_a_schedule_can_be_a_setting(bench: Bench) -> None:
    watching = bench.start(schedule="%Every%", environ={"every": "00:00:20"})
    assert await bench.tick() == NOON + timedelta(seconds=20)
    await bench.run_until(1)
    await watching.stop()


@in_loop
async def test_run_on_startup(bench: Bench) -> None:
    watching = bench.start(schedule="0 0 6 * * *", runOnStartup=True)
    await bench.run_until(1)
    await watching.stop()
    assert bench.times == ["12:00:00"]
    assert bench.events[0].details == {"UnscheduledInvocationReason": "RunOnStartup"}


@in_loop
async def test_what_was_missed_runs_at_the_start_as_past_due(bench: Bench) -> None:
    watching = bench.start(schedule="0 0 13 * * *")
    await bench.clock.next_alarm()
    await watching.stop()
    bench.clock = ManualClock(NOON + timedelta(hours=5))
    watching = bench.start(schedule="0 0 13 * * *")
    await bench.run_until(1)
    await bench.clock.next_alarm()  # until then what it has done has been kept
    await watching.stop()
    (run,) = bench.runs
    assert run["IsPastDue"] is True
    assert run["ScheduleStatus"]["Next"] == "2026-11-24T13:00:00+00:00"
    await bench.start(schedule="0 0 13 * * *").stop()
    assert len(bench.runs) == 1  # it is not past due a second time


@in_loop
async def test_another_schedule_than_before_is_not_past_due(bench: Bench) -> None:
    watching = bench.start(schedule="0 0 13 * * *")
    await bench.tick()
    await bench.run_until(1)
    await bench.clock.next_alarm()
    await watching.stop()
    bench.clock = ManualClock(NOON + timedelta(days=3))
    watching = bench.start(schedule="0 0 18 * * *")
    assert await bench.clock.next_alarm() == NOON + timedelta(days=3, hours=6)
    await watching.stop()
    assert len(bench.runs) == 1


@pytest.mark.parametrize(
    ("binding", "kept"),
    [
        ({"schedule": "0 0 * * * *"}, True),
        ({"schedule": "0 0 * * * *", "useMonitor": False}, False),
        ({"schedule": "*/10 * * * * *"}, False),  # more than once a minute
        ({"schedule": "*/10 * * * * *", "useMonitor": True}, True),
    ],
)
def test_what_is_monitored(bench: Bench, binding: dict[str, Any], kept: bool) -> None:
    async def test() -> None:
        watching = bench.start(**binding)
        await bench.tick()
        await bench.run_until(1)
        await bench.clock.next_alarm()
        await watching.stop()
        bench.clock = ManualClock(NOON + timedelta(hours=5))
        await bench.start(**binding).stop()

    asyncio.run(test())
    assert (bench.runs[0]["ScheduleStatus"] is not None) is kept
    assert (len(bench.runs) == 2) is kept  # past due, if it is known to be


@in_loop
async def test_a_run_that_no_worker_took_is_past_due_at_the_next_start(bench: Bench) -> None:
    bench.failure = WorkerBusy("the host is stopping")
    watching = bench.start(schedule="0 0 * * * *")
    await bench.tick()
    await bench.run_until(1)
    await bench.clock.next_alarm()
    await watching.stop()
    watching = bench.start(schedule="0 0 * * * *")
    await bench.run_until(2)
    await watching.stop()
    assert bench.runs[1]["IsPastDue"] is True


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"Last": 5, "Next": "soon"}', b"\xff\xfe"])
def test_a_damaged_status_is_as_none(bench: Bench, damage: bytes) -> None:
    async def test() -> None:
        await bench.start(schedule="0 0 13 * * *").stop()
        (file,) = (bench.folder / "state" / "timers").iterdir()
        file.write_bytes(damage)
        bench.clock = ManualClock(NOON + timedelta(hours=5))
        await bench.start(schedule="0 0 13 * * *").stop()

    asyncio.run(test())
    assert bench.runs == []


@pytest.mark.parametrize(
    ("binding", "reason"),
    [
        ({}, "has no schedule"),
        ({"schedule": "61 * * * * *"}, "its schedule '61 \\* \\* \\* \\* \\*' is wrong: '61' is no second"),
        ({"schedule": "%Missing%"}, "there is no setting Missing"),
    ],
)
def test_a_wrong_schedule_is_told(bench: Bench, binding: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        TimerTrigger(binding, Scope("tick", {}))


APP = """
import logging
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def nightly(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    logging.info("try %s of %s after %s; past due: %s; %s", retry.retry_count, retry.max_retry_count,
                 retry.exception, timer.past_due, sorted(timer.schedule_status))
    if retry.retry_count < 2:
        raise ValueError("not yet")

@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
async def often(timer: func.TimerRequest) -> None:
    logging.info("ticking")

@app.timer_trigger(arg_name="timer", schedule="* * *")
def wrong(timer: func.TimerRequest) -> None:
    pass
"""


def test_a_host_runs_timers_without_storage_and_retries_them_by_their_policy(tmp_path: Path) -> None:
    folder, state = write_app(tmp_path / "app", {"function_app.py": APP}), tmp_path / "state"
    with running_host(folder, ready=r"nightly: timerTrigger", environ={"WORKER_EXT_STATE": str(state)}) as host:
        host.wait_for(r"The 'wrong' function is in error: its schedule '\* \* \*' is wrong: it has 3 fields")
        host.wait_for(r"try 0 of 2 after None; past due: False; \['Last', 'LastUpdated', 'Next'\]")
        host.wait_for(r"try 1 of 2 after ValueError: not yet;")
        host.wait_for(r"try 2 of 2 after ValueError: not yet;")
        host.wait_for(r"ticking", count=2)
        assert "try 3" not in host.console
        wait_until(lambda: list(state.rglob("timers/nightly*.json")), "the status of the timer is kept")


def test_a_status_that_cannot_be_kept_is_told(bench: Bench) -> None:
    (bench.folder / "state").write_text("somebody's file")

    async def test() -> None:
        watching = bench.start(schedule="0 0 13 * * *")
        await bench.clock.next_alarm()
        await watching.stop()

    asyncio.run(test())
    assert "When tick ran cannot be kept" in bench.stream.getvalue()
