"""``python -m benchmarks.rpc``: workers behind the Functions host of ``worker_ext.testing``, in one interleaved run.

Four workers on one interpreter, which Microsoft's runtime can be installed for: ours, ours with the timer extension,
that runtime, and one that answers every invocation without running anything (``servers/echo_worker.py``), over
grpcio as Microsoft's. Each round loads every one of them in turn, so that a machine that slows down slows all of them
down. What counts are the medians of the rounds' ratios.

The host's part in it is not small: it is a Python process as well, on a second processor if there is one. What it sends
is made beforehand, and it looks at no more of an answer than it must, so that it limits the rates as little as may be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from worker_ext.testing.rpc_host import OUR_WORKER, RpcHost, messages

from .measure import cpu_seconds, memory
from .subjects import ROOT

APP = """
import os
import azure.functions as func

if os.environ.get("TIMED"):
    import python_worker_extension_timer

app = func.FunctionApp()

@app.function_name("sync")
@app.route(route="sync")
def sync(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"Hello, {req.params.get('name')}")

@app.function_name("async")
@app.route(route="async")
async def asynchronous(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(f"Hello, {req.params.get('name')}")
"""

IN_FLIGHT = 16
KINDS = ("sync", "async")


@dataclass(frozen=True)
class Subject:
    """A worker that is measured.

    :param name: what it is called in the report.
    :param script: what its interpreter runs.
    :param environ: its settings.
    """

    name: str
    script: str
    environ: dict[str, str] = field(default_factory=dict)


SUBJECTS = (
    Subject("ours", OUR_WORKER[-1]),
    Subject("ours, timed", OUR_WORKER[-1], {"TIMED": "1", "PYTHON_ENABLE_WORKER_EXTENSIONS": "1"}),
    Subject("stock", str(ROOT / "tests" / "support" / "stock_worker.py")),
    Subject("echo", str(ROOT / "benchmarks" / "servers" / "echo_worker.py")),
)


@dataclass
class Sample:
    """One load on one worker.

    :ivar rate: answers per second.
    :ivar cpu: processor time of the worker per invocation, in microseconds.
    :ivar host_cpu: the same of the host.
    """

    rate: float
    cpu: float
    host_cpu: float


class LoadingHost(RpcHost):
    """A host that keeps a number of invocations in flight, all alike."""

    def load_it(self, function: str, total: int) -> Sample:
        """Have ``total`` invocations answered.

        :raises SystemExit: if one of them fails.
        """
        http = messages.RpcHttp(
            method="GET",
            url="http://localhost:7071/api/hello?name=you",
            headers={"accept": "*/*", "host": "localhost:7071", "user-agent": "benchmark"},
            query={"name": "you"},
            body=messages.TypedData(bytes=b""),
        )
        self._frames = [self._frame(function, http, number) for number in range(total)]
        self._left = total
        self._finished = threading.Event()
        cpu, host_cpu, begun = cpu_seconds(self.process.pid), time.process_time(), time.perf_counter()
        for _ in range(min(IN_FLIGHT, total)):
            self.send_bytes(self._frames.pop())
        if not self._finished.wait(120):
            raise SystemExit(f"the worker has not answered; it printed {self.printed}")
        seconds = time.perf_counter() - begun
        return Sample(
            rate=total / seconds,
            cpu=(cpu_seconds(self.process.pid) - cpu) / total * 1e6,
            host_cpu=(time.process_time() - host_cpu) / total * 1e6,
        )

    def _frame(self, function: str, http: messages.RpcHttp, number: int) -> bytes:
        request = messages.InvocationRequest(
            invocation_id=f"00000000-0000-4000-8000-{number:012}", function_id=self.functions[function]
        )
        request.input_data.add(name="req", data=messages.TypedData(http=http))
        frame: bytes = messages.StreamingMessage(request_id="load", invocation_request=request).SerializeToString()
        return frame

    def _take(self, message: messages.StreamingMessage) -> None:
        kind = message.WhichOneof("content")
        if kind == "rpc_log":  # a host that kept every line of every load would slow down more and more
            return
        if kind != "invocation_response":
            super()._take(message)
            return
        if message.invocation_response.result.status != messages.StatusResult.Success:
            print(message, file=sys.stderr)
            os._exit(1)
        if self._frames:
            self.send_bytes(self._frames.pop())
        self._left -= 1
        if not self._left:
            self._finished.set()


@dataclass
class Results:
    """All that was measured, by subject and kind of function."""

    loads: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    memories: dict[str, float] = field(default_factory=dict)

    def ratio(self, what: str, kind: str, over: str, under: str) -> float:
        """The median of the rounds' ratios of two subjects."""
        pairs = zip(self.loads[over][kind], self.loads[under][kind], strict=True)
        return statistics.median(getattr(one, what) / getattr(other, what) for one, other in pairs)

    def targets(self) -> list[tuple[str, float, str, float]]:
        """What was to be reached: its name, the figure, the comparison, the limit."""
        found = []
        for kind in KINDS:
            found += [
                (f"rate, {kind}: ours / stock", self.ratio("rate", kind, "ours", "stock"), ">=", 2.5),
                (f"rate, {kind}: ours / echo", self.ratio("rate", kind, "ours", "echo"), ">=", 0.6),
                (f"processor time, {kind}: ours / echo", self.ratio("cpu", kind, "ours", "echo"), "<=", 2.0),
                (f"rate, {kind}: timed / not", self.ratio("rate", kind, "ours, timed", "ours"), ">=", 0.8),
            ]
        found.append(("memory of ours, MB", self.memories["ours"], "<=", 50.0))
        found.append(("start of ours to loaded, s", statistics.median(self.starts["ours"]), "<=", 0.35))
        return found

    def as_json(self) -> dict[str, Any]:
        """For a file."""
        return {
            "loads": {
                name: {kind: [asdict(sample) for sample in samples] for kind, samples in kinds.items()}
                for name, kinds in self.loads.items()
            },
            "starts": self.starts,
            "memories": self.memories,
            "targets": [
                {"name": name, "figure": figure, "limit": f"{sign} {limit}"}
                for name, figure, sign, limit in self.targets()
            ],
        }

    def table(self) -> str:
        """For people."""
        lines = [f"{'worker':14}{'kind':8}{'rate/s':>9}{'worker µs':>11}{'host µs':>9}"]
        for name, kinds in self.loads.items():
            for kind, samples in kinds.items():
                rate, cpu, host = (
                    statistics.median(getattr(sample, what) for sample in samples)
                    for what in ("rate", "cpu", "host_cpu")
                )
                lines.append(f"{name:14}{kind:8}{rate:9.0f}{cpu:11.0f}{host:9.0f}")
        lines += [
            "",
            *(
                f"{name:14}started and loaded in {statistics.median(times):.2f} s, {self.memories[name]:.0f} MB"
                for name, times in self.starts.items()
            ),
            "",
        ]
        for name, figure, sign, limit in self.targets():
            met = figure >= limit if sign == ">=" else figure <= limit
            lines.append(f"{name:38}{figure:7.2f}  {sign} {limit:<5} {'met' if met else 'MISSED'}")
        return "\n".join(lines)


def measure(python: str, folder: Path, rounds: int, total: int) -> Results:
    """Run all rounds."""
    results = Results()
    (folder / "function_app.py").write_text(APP, encoding="utf-8")
    (folder / "host.json").write_text('{"version": "2.0"}', encoding="utf-8")

    def start(stack: ExitStack, subject: Subject) -> LoadingHost:
        host = LoadingHost(folder, (python, subject.script), environ=subject.environ)
        begun = time.perf_counter()
        stack.enter_context(host)
        host.start()
        results.starts.setdefault(subject.name, []).append(time.perf_counter() - begun)
        return host

    for _ in range(rounds):
        for subject in random.sample(SUBJECTS, len(SUBJECTS)):
            with ExitStack() as stack:
                start(stack, subject)
    with ExitStack() as stack:
        hosts = {subject.name: start(stack, subject) for subject in SUBJECTS}
        for host in hosts.values():
            for kind in KINDS:
                host.load_it(kind, total // 4)  # warm up
        for number in range(rounds):
            for kind in KINDS:
                for name in random.sample(list(hosts), len(hosts)):
                    sample = hosts[name].load_it(kind, total)
                    results.loads.setdefault(name, {}).setdefault(kind, []).append(sample)
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
        results.memories = {name: memory(host.process.pid) for name, host in hosts.items()}
    return results


def main() -> int:
    """Measure, print, write; the exit status is 1 if ``--check`` was given and a target is missed."""
    sys.path.insert(0, str(ROOT / "tests"))
    from support.stock_runtime import stock_python

    parser = argparse.ArgumentParser(prog="python -m benchmarks.rpc", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--invocations", type=int, default=4000, help="how many make one load")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "rpc.json")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="worker-ext-benchmark-") as folder:
        results = measure(stock_python(), Path(folder), arguments.rounds, arguments.invocations)
    print(results.table())
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    return int(arguments.check and "MISSED" in results.table())


if __name__ == "__main__":
    raise SystemExit(main())
