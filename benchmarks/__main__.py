"""``python -m benchmarks``: measure everything in one interleaved run.

Each round loads every server in turn, so that a machine that slows down slows all of them down. What counts are the
medians of the rounds' ratios; absolute figures of a shared machine mean little.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import random
import sys
import tempfile
from pathlib import Path

from .measure import Sample, load, memory, require_wrk
from .report import TARGETS, Results, chart, table
from .subjects import ROOT, Server, running, subjects


def main() -> int:
    """Measure, print, write; the exit status is 1 if ``--check`` was given and a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=2, help="length of one load")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "latest.json")
    parser.add_argument("--chart", type=Path, help="draw the chart into this SVG file")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    arguments = parser.parse_args()
    require_wrk()
    with tempfile.TemporaryDirectory(prefix="worker-ext-benchmark-") as folder:
        results = measure(Path(folder), arguments.rounds, arguments.seconds)
    print(table(results))
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(results.as_json(), indent=2) + "\n", encoding="utf-8")
    if arguments.chart:
        chart(results, arguments.chart)
    return int(arguments.check and not all(target.met(results) for target in TARGETS))


def measure(scratch: Path, rounds: int, seconds: int) -> Results:
    """Run all rounds."""
    results = Results()
    everything = subjects(scratch)
    for _ in range(rounds):
        random.shuffle(everything)
        for subject in everything:
            with running(subject, scratch) as server:
                results.starts.setdefault(subject.name, []).append(server.first_answer)
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running(subject, scratch)) for subject in everything]
        loads = [
            (server, kind, connections)
            for server in servers
            for kind in server.subject.paths
            for connections in (1, 16)
        ]
        for server, kind, connections in loads:
            _load(server, kind, connections, 1)  # warm up
        for number in range(rounds):
            # Neighbours in time are compared: all servers of one kind and number of connections, in random order.
            random.shuffle(loads)
            loads.sort(key=lambda item: item[1:])
            for server, kind, connections in loads:
                sample = _load(server, kind, connections, seconds)
                results.loads.setdefault((server.subject.name, kind, connections), []).append(sample)
            for server in servers:
                results.memories.setdefault(server.subject.name, []).append(memory(server.pid))
            print(f"round {number + 1} of {rounds} done", file=sys.stderr)
    return results


def _load(server: Server, kind: str, connections: int, seconds: int) -> Sample:
    url = server.url(kind)
    assert url is not None
    return load(url, server.pid, connections, seconds)


if __name__ == "__main__":
    raise SystemExit(main())
