"""Long loads with faults: what tests run for seconds, and benchmarks/soak.py for as long as it takes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .azurite import Azurite, unique
from .hosting import RunningHost, running_host, steady_requests, wait_until, write_app

APP = """
import logging, os, time
from pathlib import Path
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
HANDLED = os.open(Path(__file__).parent / "handled.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def handle(message: func.QueueMessage) -> None:
    time.sleep(0.002)
    os.write(HANDLED, message.get_body() + b"\\n")

@app.route(route="fast")
async def fast(req: func.HttpRequest) -> str:
    logging.info("a line")
    return "fast"

@app.route(route="slow")
def slow(req: func.HttpRequest) -> str:
    time.sleep(0.05)
    return "slow"

@app.route(route="large")
def large(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(b"x" * 300_000)

@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    pass
"""


MOST_WAITING = 300
"""How many messages wait in the queue at most."""


@dataclass
class Messages:
    """What has become of messages.

    :ivar sent: how many there were.
    :ivar handled: how many were handled, each counted once.
    :ivar repeats: how often one was handled again.
    :ivar poisoned: how many were given up.
    :ivar kills: how many workers were killed.
    :ivar seconds: how long it took.
    """

    sent: int
    handled: int
    repeats: int
    poisoned: int
    kills: int
    seconds: float

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        lost = self.sent - self.handled
        return [f"{count} messages {what}" for count, what in ((lost, "lost"), (self.poisoned, "given up")) if count]

    def __str__(self) -> str:
        lost = self.sent - self.handled
        return (
            f"{self.sent} messages in {self.seconds:.0f} s, {self.kills} workers killed:"
            f" {lost} lost, {self.repeats} repeats, {self.poisoned} given up"
        )


def messages_while_workers_are_killed(
    azurite: Azurite, folder: Path, *, count: int, kill_every: float = 1.0
) -> Messages:
    """Have messages handled while every worker is killed again and again.

    No more than :data:`MOST_WAITING` wait at a time: the emulator gets slow with long queues.
    """
    name = unique("soak")
    began = time.monotonic()
    with _host(azurite, folder, name) as host, _killing(host, kill_every) as kills:
        sent = 0
        while sent < count:
            _send(azurite, name, min(50, count - sent), start=sent)
            sent = min(sent + 50, count)
            wait_until(lambda: azurite.length(name) <= MOST_WAITING, "messages are handled", timeout=120)
        wait_until(lambda: azurite.length(name) == 0, "all messages are handled", timeout=120)
    return _count(azurite, folder, name, count, kills, time.monotonic() - began)


@dataclass
class Soak:
    """How a host has come through a mixed load with kills and reloads.

    :ivar outcomes: counts of (status, body) of HTTP answers, and of errors without one.
    :ivar messages: what has become of the messages.
    :ivar reloads: how often the app was edited.
    :ivar descriptors: open file descriptors of the host: after its warm-up, and at the end.
    :ivar memory: the host's resident memory in MB: after its warm-up, halfway, and at the end.
    :ivar processes: how many processes of the host were left at the end.
    """

    outcomes: Counter[Any]
    messages: Messages
    reloads: int
    descriptors: list[int] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)
    processes: int = 0

    @property
    def statuses(self) -> Counter[Any]:
        """How many answers had each status; an error without an answer is its own."""
        found: Counter[Any] = Counter()
        for outcome, count in self.outcomes.items():
            found[outcome[0] if isinstance(outcome, tuple) else outcome] += count
        return found

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        found = [f"{count} times {status}" for status, count in self.statuses.items() if status not in (200, 500, 503)]
        if self.statuses[200] <= self.statuses[500] + self.statuses[503]:
            found.append("fewer requests succeeded than failed")
        if self.processes != 1:
            found.append(f"{self.processes} processes are left")
        if self.descriptors[-1] > self.descriptors[0] + 5:
            found.append("descriptors leak")
        if self.memory[-1] > self.memory[0] * 1.15 + 5:
            found.append("memory grows")
        return found + self.messages.faults

    def __str__(self) -> str:
        memory = " → ".join(f"{size:.0f}" for size in self.memory)
        descriptors = " → ".join(map(str, self.descriptors))
        return (
            f"HTTP: {json.dumps(dict(self.statuses))}\n{self.messages}\n{self.reloads} reloads,"
            f" {self.processes} worker processes at the end, {descriptors} descriptors, {memory} MB of memory"
        )


def mixed_load(azurite: Azurite, folder: Path, *, seconds: float, kill_every: float, reload_every: float) -> Soak:
    """HTTP requests, messages and a timer all at once, while workers are killed and the app is edited."""
    name = unique("soak")
    with _host(azurite, folder, name) as host:
        sent = _warm_up(azurite, host, name)
        soak = Soak(Counter(), Messages(0, 0, 0, 0, 0, 0.0), 0)
        _measure(host, azurite, soak)
        began = time.monotonic()
        with contextlib.ExitStack() as load:
            counts = [load.enter_context(steady_requests(host, f"/api/{path}")) for path in ("fast", "slow", "large")]
            kills = load.enter_context(_killing(host, kill_every))
            reloaded = began
            while (now := time.monotonic()) - began < seconds:
                _send(azurite, name, 20, start=sent)
                sent += 20
                if now - reloaded > reload_every:
                    reloaded = now
                    soak.reloads += 1
                    (folder / "function_app.py").write_text(f"{APP}\n# edit {soak.reloads}\n")
                if len(soak.memory) == 1 and now - began > seconds / 2:
                    soak.memory.append(_memory(host))
                time.sleep(0.2)
        wait_until(lambda: azurite.length(name) == 0, "all messages are handled", timeout=120)
        wait_until(lambda: host.get("/api/fast").status == 200, "the host still serves", timeout=60)
        wait_until(lambda: len(host.worker_pids()) == 1, "there is one worker", timeout=60)
        soak.processes = len(host.processes())
        _measure(host, azurite, soak)
    soak.outcomes = sum(counts, Counter())
    soak.messages = _count(azurite, folder, name, sent, kills, time.monotonic() - began)
    return soak


@contextlib.contextmanager
def _host(azurite: Azurite, folder: Path, queue: str) -> Iterator[RunningHost]:
    settings = azurite.settings
    settings["Values"]["QUEUE"] = queue
    quiet = {"logging": {"logLevel": {"default": "Warning"}}, "version": "2.0"}
    queues = {"queues": {"maxPollingInterval": "00:00:00.5"}}
    files = {"function_app.py": APP, "local.settings.json": settings, "host.json": {**quiet, "extensions": queues}}
    with running_host(write_app(folder, files)) as host:
        yield host


def _send(azurite: Azurite, name: str, count: int, *, start: int = 0) -> None:
    queue = azurite.queue(name)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: queue.send_message(str(number)), range(start, start + count)))


@contextlib.contextmanager
def _killing(host: RunningHost, every: float) -> Iterator[list[int]]:
    """Kill all workers so many seconds after one has loaded the app, again and again while the block runs.

    Gives the ids of those that were killed.
    """
    killed: list[int] = []
    stop = threading.Event()

    def kill() -> None:
        seen = 0
        while not stop.wait(0.02):
            lines = host.lines[seen:]
            seen += len(lines)
            if not any("Worker process started and initialized." in line for line in lines) or stop.wait(every):
                continue
            for pid in host.worker_pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield killed
    finally:
        stop.set()
        thread.join()


def _warm_up(azurite: Azurite, host: RunningHost, name: str) -> int:
    """Use everything once, so that what is imported and opened late is there; how many messages were sent."""
    count = 50
    _send(azurite, name, count)
    with contextlib.ExitStack() as load:
        for path in ("fast", "slow", "large"):
            load.enter_context(steady_requests(host, f"/api/{path}"))
        wait_until(lambda: azurite.length(name) == 0, "the first messages are handled", timeout=60)
    return count


def _count(azurite: Azurite, folder: Path, name: str, sent: int, kills: list[int], seconds: float) -> Messages:
    handled = Counter((folder / "handled.txt").read_text().split())
    repeats = sum(handled.values()) - len(handled)
    return Messages(sent, len(handled), repeats, azurite.length(f"{name}-poison"), len(set(kills)), seconds)


def _measure(host: RunningHost, azurite: Azurite, soak: Soak) -> None:
    soak.descriptors.append(_descriptors(host.process.pid, azurite))
    soak.memory.append(_memory(host))


def _descriptors(pid: int, azurite: Azurite) -> int:
    """How many descriptors a process has open, without its connections to storage: a pool keeps those for a while."""
    pooled = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if int(fields[2].rpartition(":")[2], 16) in azurite.ports:
            pooled.add(f"socket:[{fields[9]}]")
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found += os.readlink(descriptor) not in pooled
    return found


def _memory(host: RunningHost) -> float:
    status = Path(f"/proc/{host.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
