"""``python -m benchmarks.baetyl``: Baetyl functions beside a bare paho echo and a bare grpcio echo, in one run.

All servers run at the same time and are loaded in turn, round by round; what counts are medians of the rounds' ratios.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from . import measure, servers

TARGETS = {
    "QoS 0 round trip, times that of the echo": (2.0, False),
    "QoS 0 calls per second in a burst": (3000.0, True),
    "QoS 1 round trip, times that of the echo": (3.0, False),
    "gRPC calls per second of 8 callers, of those of the echo": (0.7, True),
    "QoS 1 messages lost with three kills": (0.0, False),
}
"""What must be reached, and whether more is better."""


def main() -> int:
    """Measure and print; the exit status is 1 if ``--check`` was given and a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.baetyl", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=20_000, help="messages of the burst with kills")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="worker-ext-baetyl-") as folder:
        figures = run(Path(folder), arguments.rounds, arguments.messages)
    missed = 0
    for name, (target, more) in TARGETS.items():
        figure = statistics.median(figures[name])
        met = figure >= target if more else figure <= target
        missed += not met
        print(f"{'ok    ' if met else 'MISSED'} {name}: {figure:,.2f} ({'at least' if more else 'at most'} {target:g})")
    for name in figures.keys() - TARGETS.keys():
        print(f"       {name}: {statistics.median(figures[name]):,.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return int(arguments.check and missed > 0)


def run(folder: Path, rounds: int, messages: int) -> dict[str, list[float]]:
    """Run everything."""
    figures: dict[str, list[float]] = {}

    def note(name: str, figure: float) -> None:
        figures.setdefault(name, []).append(figure)

    with servers.mosquitto(folder) as port:
        for qos in (0, 1):
            home = folder / f"qos{qos}"
            home.mkdir()
            with contextlib.ExitStack() as stack:
                stack.enter_context(servers.paho_echo(port, qos))
                host = stack.enter_context(servers.host(home, port, qos))
                echo, ours = (
                    stack.enter_context(contextlib.closing(measure.MqttLoad(port, name, qos)))
                    for name in ("echo", "ours")
                )
                for load in (echo, ours):
                    load.round_trip(300)  # warm up
                for number in range(rounds):
                    first, second = (echo, ours) if number % 2 else (ours, echo)
                    times = {load: load.round_trip(700) for load in (first, second)}
                    note(f"QoS {qos} round trip, times that of the echo", times[ours] / times[echo])
                    note(f"QoS {qos} round trip of the echo in ms", times[echo] * 1000)
                    rates = {load: load.burst(4000) for load in (first, second)}
                    note(f"QoS {qos} calls per second in a burst", rates[ours])
                    note(f"QoS {qos} calls per second in a burst of the echo", rates[echo])
                if qos == 1:
                    numbers, replies = ours.survivors(messages, partial(measure.kill_instance_of, host.pid))
                    note("QoS 1 messages lost with three kills", messages - numbers)
                    note("QoS 1 replies too many with three kills", replies - numbers)
            print(f"QoS {qos} done", file=sys.stderr)
    ours_at, echo_at = (f"127.0.0.1:{servers.free_port()}" for _ in range(2))
    with servers.instance(folder, ours_at), servers.grpc_echo(echo_at):
        for address in (ours_at, echo_at):
            measure.grpc_rate(address, 8, 0.5)
        for _ in range(rounds):
            ours_rate, echo_rate = (measure.grpc_rate(address, 8, 1.5) for address in (ours_at, echo_at))
            note("gRPC calls per second of 8 callers, of those of the echo", ours_rate / echo_rate)
            note("gRPC calls per second of 8 callers", ours_rate)
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
