"""``python -m benchmarks.hooks``: what a layer around a function costs over a plain call, in this process.

All cases take turns in short stretches, so that a machine that slows down slows all of them down; of each the fastest
stretch counts, in CPU time of this thread. A case of many layers shows what one more costs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from time import thread_time
from typing import Any, NamedTuple

from worker_ext import AppExtensionBase, Context
from worker_ext.function import Function
from worker_ext.hooks.pipeline import Pipeline, run, run_async
from worker_ext.hooks.registry import Registry
from worker_ext.invocation import Invocation

LAYERS = 10


class Generator(AppExtensionBase):
    """A layer that does nothing, as a generator."""

    @classmethod
    def around_invocation_app_level(cls, logger: Any, context: Any, func_args: Any) -> Any:
        """Pass everything on."""
        return (yield)


class Coroutine(AppExtensionBase):
    """A layer that does nothing, as a coroutine."""

    @classmethod
    async def around_invocation_app_level(
        cls, logger: Any, context: Any, func_args: Any, call_next: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Pass everything on."""
        return await call_next()


class Classic(AppExtensionBase):
    """A pre and a post hook that do nothing."""

    @classmethod
    def pre_invocation_app_level(cls, logger: Any, context: Any, func_args: Any) -> None:
        """Do nothing."""

    @classmethod
    def post_invocation_app_level(cls, logger: Any, context: Any, func_args: Any, func_ret: Any) -> None:
        """Do nothing."""


class Case(NamedTuple):
    """One thing that is measured.

    :ivar name: what it is.
    :ivar kind: ``sync`` or ``async``, of the function.
    :ivar layers: how many extensions there are.
    :ivar limit: the most microseconds that one of them may cost; 0 for no limit.
    :ivar invocation: what is run.
    :ivar pipeline: runs it.
    """

    name: str
    kind: str
    layers: int
    limit: float
    invocation: Invocation
    pipeline: Pipeline


def main() -> int:
    """Measure and print; the exit status is 1 if ``--check`` was given and a limit is passed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hooks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=2000, help="calls in one stretch")
    parser.add_argument("--check", action="store_true", help="fail if a limit is passed")
    arguments = parser.parse_args()
    everything = list(cases())
    best = dict.fromkeys(range(len(everything)), float("inf"))
    for _ in range(arguments.rounds):
        for number, case in enumerate(everything):
            best[number] = min(best[number], measure(case, arguments.calls))
    plain = {case.kind: best[number] for number, case in enumerate(everything) if not case.layers}
    passed = True
    print(f"{'':<28}{'one call':>12}{'each layer':>12}{'limit':>8}   (microseconds of CPU)")
    for number, case in enumerate(everything):
        each = (best[number] - plain[case.kind]) / case.layers if case.layers else 0.0
        passed &= not case.limit or each <= case.limit
        shown = f"{each:>12.2f}{case.limit or '':>8}" if case.layers else ""
        print(f"{f'{case.name}, {case.kind} function':<28}{best[number]:>12.2f}{shown}")
    return int(arguments.check and not passed)


def cases() -> Iterable[Case]:
    """Everything that is measured."""
    for kind, call in (("sync", _sync), ("async", _async)):
        yield _case("plain", kind, call, [], 0)
        yield _case("classic hooks", kind, call, [Classic], 0)
        for layers in (1, LAYERS):
            yield _case(f"{layers} generator", kind, call, [Generator] * layers, 3.0)
        if kind == "async":  # around a sync function, thread and loop take turns: that is another cost altogether
            for layers in (1, LAYERS):
                yield _case(f"{layers} coroutine", kind, call, [Coroutine] * layers, 5.0)


def measure(case: Case, calls: int) -> float:
    """Microseconds of CPU time for each of so many calls."""
    invocation, pipeline = case.invocation, case.pipeline
    if case.kind == "async":

        async def call_all() -> float:
            begun = thread_time()
            for _ in range(calls):
                await run_async(invocation, pipeline)
            return thread_time() - begun

        return asyncio.run(call_all()) / calls * 1e6
    loop: Any = None  # nothing here is awaited
    begun = thread_time()
    for _ in range(calls):
        run(invocation, pipeline, loop)
    return (thread_time() - begun) / calls * 1e6


def _case(name: str, kind: str, call: Callable[..., Any], bases: list[type], limit: float) -> Case:
    function = Function("f", call, directory="", file="", parameters=frozenset({"req", "context"}))
    context = Context("f", "", "1")
    return Case(
        name,
        kind,
        len(bases),
        limit,
        Invocation(function, {"req": 1, "context": context}, context),
        Pipeline(function, _Chosen(bases)),
    )


class _Chosen(Registry):
    """The registry of a process that has these extensions and no others."""

    def __init__(self, classes: list[type]) -> None:
        super().__init__(enabled=True)
        self._classes = classes

    def app_level(self, function: Function | None = None) -> list[Any]:
        return self._classes


def _sync(req: Any, context: Any) -> Any:
    return req


async def _async(req: Any, context: Any) -> Any:
    return req


if __name__ == "__main__":
    sys.exit(main())
