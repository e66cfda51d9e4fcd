"""The figures as a table, as JSON, and as a chart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from .measure import Sample

Key = tuple[str, str, int]  # subject, kind of function, connections


@dataclass
class Results:
    """All figures of one run, round by round.

    :ivar loads: what each load gave.
    :ivar starts: seconds to the first answer, by subject.
    :ivar memories: resident megabytes after the loads, by subject.
    """

    loads: dict[Key, list[Sample]] = field(default_factory=dict)
    starts: dict[str, list[float]] = field(default_factory=dict)
    memories: dict[str, list[float]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Everything that was measured."""
        loads = [
            {"subject": subject, "kind": kind, "connections": connections, "rounds": [s.as_dict() for s in samples]}
            for (subject, kind, connections), samples in self.loads.items()
        ]
        ratios = [{"what": t.what, "target": t.text, "median": t.value(self)} for t in TARGETS]
        return {"loads": loads, "first_answer_s": self.starts, "memory_mb": self.memories, "ratios": ratios}


@dataclass(frozen=True)
class Target:
    """A ratio that is to be reached, as the median of the rounds' ratios.

    :ivar what: what is compared with what.
    :ivar bound: the number to reach.
    :ivar pairs: gives numerators and denominators, round by round.
    :ivar at_most: whether the bound is an upper one.
    """

    what: str
    bound: float
    pairs: Callable[[Results], tuple[list[float], list[float]]]
    at_most: bool = False

    @property
    def text(self) -> str:
        """The target as the table shows it."""
        return f"{'<=' if self.at_most else '>='} {self.bound:g}"

    def value(self, results: Results) -> float:
        """The median of the rounds' ratios."""
        ours, theirs = self.pairs(results)
        return median(a / b for a, b in zip(ours, theirs, strict=True))

    def met(self, results: Results) -> bool:
        """Whether it is reached."""
        value = self.value(results)
        return value <= self.bound if self.at_most else value >= self.bound


def _rates(ours: str, theirs: str, kind: str, connections: int) -> Callable[[Results], tuple[list[float], list[float]]]:
    def pairs(results: Results) -> tuple[list[float], list[float]]:
        a, b = results.loads[ours, kind, connections], results.loads[theirs, kind, connections]
        return [sample.rate for sample in a], [sample.rate for sample in b]

    return pairs


OFF, NO_OP, TIMER = "worker-ext, off", "worker-ext, no-op", "worker-ext, timer"
TEN_NO_OPS = "worker-ext, ten no-ops"
FRAMEWORK, STARLETTE, ECHO = "functions-framework", "Starlette on uvicorn", "two-process echo"

TARGETS = [
    Target("timer / functions-framework, async, 16", 7.0, _rates(TIMER, FRAMEWORK, "async", 16)),
    Target("timer / functions-framework, sync, 16", 5.0, _rates(TIMER, FRAMEWORK, "sync", 16)),
    Target("timer / functions-framework, async, 1", 1.5, _rates(TIMER, FRAMEWORK, "async", 1)),
    Target("timer / functions-framework, sync, 1", 1.3, _rates(TIMER, FRAMEWORK, "sync", 1)),
    Target("off / two-process echo, async, 16", 0.75, _rates(OFF, ECHO, "async", 16)),
    Target("off / Starlette on uvicorn, async, 16", 1.0, _rates(OFF, STARLETTE, "async", 16)),
    Target("no-op / off, async, 16", 0.95, _rates(NO_OP, OFF, "async", 16)),
    Target("ten no-ops / off, async, 16", 0.92, _rates(TEN_NO_OPS, OFF, "async", 16)),
    Target("timer / off, async, 16", 0.8, _rates(TIMER, OFF, "async", 16)),
    Target(
        "first answer, timer / functions-framework",
        1.0,
        lambda r: (r.starts[TIMER], r.starts[FRAMEWORK]),
        at_most=True,
    ),
    Target(
        "memory, timer / functions-framework", 1.0, lambda r: (r.memories[TIMER], r.memories[FRAMEWORK]), at_most=True
    ),
]


def table(results: Results) -> str:
    """The medians, a line per load, and the ratios."""
    lines = [
        f"{'subject':28} {'kind':6} {'conns':>5} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU us':>7} {'failed':>6}"
    ]
    for (subject, kind, connections), samples in sorted(
        results.loads.items(), key=lambda item: (item[0][1:], item[0][0])
    ):
        rate, p50, p99, cpu = (median(getattr(s, name) for s in samples) for name in ("rate", "p50", "p99", "cpu"))
        failed = sum(sample.failed for sample in samples)
        lines.append(
            f"{subject:28} {kind:6} {connections:>5} {rate:>8.0f} {p50:>8.2f} {p99:>8.2f} {cpu:>7.0f} {failed:>6}"
        )
    lines += ["", f"{'subject':28} {'first answer s':>14} {'memory MB':>10}"]
    for subject, starts in results.starts.items():
        lines.append(f"{subject:28} {median(starts):>14.2f} {median(results.memories[subject]):>10.0f}")
    lines += ["", f"{'ratio (median of rounds)':44} {'target':>8} {'got':>6}"]
    for target in TARGETS:
        verdict = "" if target.met(results) else "  MISSED"
        lines.append(f"{target.what:44} {target.text:>8} {target.value(results):>6.2f}{verdict}")
    return "\n".join(lines)


def chart(results: Results, path: Path) -> None:
    """Draw the rates at 16 connections, as times of functions-framework's."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "worker-ext"  # the same figures give the same file
    rows = [(subject, kind) for subject, kind, connections in results.loads if connections == 16]
    rows = [row for row in rows if row[0] != FRAMEWORK or row[1] == "sync"]
    values = [median(_ratio(results, subject, kind)) for subject, kind in rows]
    labels = [subject if subject in (FRAMEWORK, STARLETTE, ECHO) else f"{subject} ({kind})" for subject, kind in rows]
    colours = ["#2a6f97" if label.startswith("worker-ext") else "#a9a9a9" for label in labels]
    figure, axes = pyplot.subplots(figsize=(8, 0.42 * len(rows) + 1))
    bars = axes.barh(labels[::-1], values[::-1], color=colours[::-1])
    axes.bar_label(bars, fmt="%.1f×", padding=3)
    axes.set_xlabel("requests per second at 16 connections, functions-framework = 1")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def _ratio(results: Results, subject: str, kind: str) -> list[float]:
    theirs = results.loads[FRAMEWORK, "sync", 16]
    return [a.rate / b.rate for a, b in zip(results.loads[subject, kind, 16], theirs, strict=True)]
