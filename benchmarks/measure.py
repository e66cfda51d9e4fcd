"""What is measured of a server: its answers to a load from outside, and what the operating system says it used."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass
class Sample:
    """One load on one server.

    :ivar rate: answers per second.
    :ivar p50: median latency in milliseconds.
    :ivar p99: 99th percentile in milliseconds.
    :ivar cpu: processor time per answer of all its processes, in microseconds.
    :ivar failed: answers that were no 2xx, and socket errors.
    """

    rate: float
    p50: float
    p99: float
    cpu: float
    failed: int

    def as_dict(self) -> dict[str, float]:
        """For the JSON report."""
        return asdict(self)


def load(url: str, pid: int, connections: int, seconds: int) -> Sample:
    """Load a server with wrk (https://github.com/wg/wrk), a process of its own.

    :param pid: the server's first process.
    """
    before = cpu_seconds(pid)
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    used = cpu_seconds(pid) - before
    requests = int(_find(r"(\d+) requests in", text))
    failed = int(_find(r"Non-2xx or 3xx responses: (\d+)", text, "0"))
    failed += sum(int(number) for number in re.findall(r"(?:connect|read|write|timeout) (\d+)", text))
    return Sample(
        rate=float(_find(r"Requests/sec:\s+([\d.]+)", text)),
        p50=_milliseconds(_find(r"\n +50%\s+(\S+)", text)),
        p99=_milliseconds(_find(r"\n +99%\s+(\S+)", text)),
        cpu=used / max(requests, 1) * 1e6,
        failed=failed,
    )


def require_wrk() -> None:
    """End with a clear message if the load generator is missing."""
    if shutil.which("wrk") is None:
        raise SystemExit("the benchmark needs the load generator wrk:  apt-get install wrk, or brew install wrk")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its descendants have used."""
    total = 0
    for process in family(pid):
        try:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICK


def memory(pid: int) -> float:
    """Resident megabytes of a process and its descendants; shared pages are divided among those who share them."""
    total = 0
    for process in family(pid):
        try:
            text = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(_find(r"Pss:\s+(\d+)", text, "0"))
    return total / 1024


def family(pid: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, pending = [], [pid]
    while pending:
        process = pending.pop()
        found.append(process)
        pending += children.get(process, [])
    return found


def _find(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None and default is None:
        raise SystemExit(f"the load generator printed something unexpected:\n{text}")
    return match[1] if match else str(default)


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert match is not None, text
    return float(match[1]) * _UNITS[match[2]]
