"""Invocations know nothing of each other: neither those that run at the same time, nor those that have failed."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
from opencensus.trace import execution_context
from opencensus.trace.tracer import Tracer
from opencensus.trace.tracers.noop_tracer import NoopTracer


def traceparent(number):
    return f"00-{number:032x}-{number:016x}-01"


def fail(context):
    """A function that fails in the middle of everything."""
    execution_context.set_opencensus_attr("of", context.invocation_id)
    context.tracer.start_span("open")
    raise LookupError("the function failed")


@pytest.fixture
def pool():
    """One pool thread that runs one function after the other in the same context, as those of the stock worker do."""
    with ThreadPoolExecutor(1) as executor:
        yield lambda function, *args: executor.submit(function, *args).result()


def invoke_failing(worker, context):
    """:returns: a weak reference to the tracer that the function had."""
    tracers = []

    def function(context):
        tracers.append(weakref.ref(context.tracer))
        fail(context)

    with pytest.raises(LookupError):
        worker.invoke(function, context)
    return tracers[0]


class TestAFailedInvocation:
    """... on a worker that has no hook for it."""

    def test_is_not_seen_by_the_next_one_on_its_thread(self, worker, recorder, context, pool):
        pool(invoke_failing, worker, context("Fails", "1", traceparent(1)))

        def function(context):
            assert execution_context.get_opencensus_tracer() is context.tracer
            assert execution_context.get_current_span().name == "Next"
            assert execution_context.get_opencensus_attrs() == {}
            with context.tracer.span("inner"):
                pass

        pool(worker.invoke, function, context("Next", "2", traceparent(2)))
        worker.extension.flush()
        assert {span.name for span in recorder.spans} == {"Next", "inner"}
        assert {span.context.trace_id for span in recorder.spans} == {f"{2:032x}"}
        assert recorder["Next"].parent_span_id == f"{2:016x}"
        assert recorder["inner"].parent_span_id == recorder["Next"].span_id

    def test_leaves_its_tracer_no_longer_than_until_the_next_one(self, worker, recorder, context, pool):
        tracer = pool(invoke_failing, worker, context("Fails", "1"))
        pool(worker.invoke, lambda _: None)
        gc.collect()
        assert tracer() is None

    def test_leaves_nothing_that_grows(self, worker, recorder, context, pool):
        for number in range(50):
            pool(invoke_failing, worker, context("Fails", str(number)))
        gc.collect()
        assert sum(isinstance(thing, Tracer) for thing in gc.get_objects()) <= 1

    def test_leaves_nothing_where_each_has_a_context_of_its_own(self, worker, recorder, context):
        async def function(context):
            fail(context)

        async def main():
            references = []
            for number in range(3):
                one = context("Fails", str(number))
                with pytest.raises(LookupError):
                    await asyncio.create_task(worker.invoke_async(function, one))
                references += [weakref.ref(one.tracer), weakref.ref(one)]
            del one
            await asyncio.sleep(0)  # for a turn, the loop itself holds the context of the last task
            gc.collect()
            assert [reference() for reference in references] == [None] * 6

        asyncio.run(main())

    def test_leaves_its_context_to_nobody(self, worker, recorder, context):
        one = context("Fails", "1")
        invoke_failing(worker, one)
        reference = weakref.ref(one)
        del one
        gc.collect()
        assert reference() is None


@pytest.mark.parametrize("tells_errors", [False, True])
def test_afterwards_the_thread_is_as_it_was(worker, recorder, pool, tells_errors):
    worker.tells_errors = tells_errors

    def state():
        return execution_context.get_opencensus_full_context()

    pool(execution_context.set_opencensus_attr, "excludelist_hostnames", ["elsewhere"])
    before = pool(state)
    if tells_errors:
        pool(invoke_failing, worker, None)
    pool(worker.invoke, lambda context: execution_context.set_opencensus_attr("own", 1))

    tracer, span, attributes = pool(state)
    assert (tracer, span, attributes) == before == (tracer, None, {"excludelist_hostnames": ["elsewhere"]})
    assert isinstance(tracer, NoopTracer)


class TestAtTheSameTime:
    COUNT = 8

    def assert_unmixed(self, recorder):
        for number in range(1, self.COUNT + 1):
            invocation = recorder[f"F{number}"]
            assert invocation.parent_span_id == f"{number:016x}"
            outer, inner = recorder[f"outer {number}"], recorder[f"inner {number}"]
            assert outer.parent_span_id == invocation.span_id
            assert inner.parent_span_id == outer.span_id
            assert {span.context.trace_id for span in (invocation, outer, inner)} == {f"{number:032x}"}
        assert len(recorder.spans) == 3 * self.COUNT

    def test_on_threads(self, worker, recorder, context):
        together = threading.Barrier(self.COUNT, timeout=10)

        def function(context):
            together.wait()
            with context.tracer.span(f"outer {context.invocation_id}"):
                together.wait()
                with context.tracer.span(f"inner {context.invocation_id}"):
                    together.wait()

        with ThreadPoolExecutor(self.COUNT) as executor:
            contexts = [context(f"F{i}", str(i), traceparent(i)) for i in range(1, self.COUNT + 1)]
            list(executor.map(lambda one: worker.invoke(function, one), contexts))
        worker.extension.flush()
        self.assert_unmixed(recorder)

    def test_as_tasks(self, worker, recorder, context):
        async def function(context):
            with context.tracer.span(f"outer {context.invocation_id}"):
                await asyncio.sleep(0)
                with context.tracer.span(f"inner {context.invocation_id}"):
                    await asyncio.sleep(0)

        async def main():
            contexts = [context(f"F{i}", str(i), traceparent(i)) for i in range(1, self.COUNT + 1)]
            await asyncio.gather(*(worker.invoke_async(function, one) for one in contexts))

        asyncio.run(main())
        worker.extension.flush()
        self.assert_unmixed(recorder)

    def test_as_tasks_of_one_function(self, worker, recorder):
        async def function(context):
            async def part(name):
                with context.tracer.span(name):
                    await asyncio.sleep(0)
                    with context.tracer.span(f"{name}.1"):
                        await asyncio.sleep(0)

            await asyncio.gather(part("a"), part("b"))

        asyncio.run(worker.invoke_async(function))
        worker.extension.flush()
        for name in "a", "b":
            assert recorder[name].parent_span_id == recorder["HttpTrigger"].span_id
            assert recorder[f"{name}.1"].parent_span_id == recorder[name].span_id

    def test_one_within_the_other(self, worker, recorder, context):
        def outer(_):
            worker.invoke(lambda context: None, context("Inner", "2", traceparent(2)))

        worker.invoke(outer, context("Outer", "1", traceparent(1)))
        worker.extension.flush()
        assert recorder["Inner"].parent_span_id == f"{2:016x}"
        assert recorder["Outer"].parent_span_id == f"{1:016x}"

    def test_interleaved_in_one_context_they_end_their_own(self, worker, recorder, context):
        extension, logger = worker.extension, worker.logger
        first, second = context("First", "1", traceparent(1)), context("Second", "2", traceparent(2))
        extension.pre_invocation_app_level(logger, first, {})
        extension.pre_invocation_app_level(logger, second, {})
        extension.post_invocation_app_level(logger, first, {}, None)
        assert execution_context.get_opencensus_tracer() is second.tracer
        with second.tracer.span("inner"):
            pass
        extension.post_invocation_app_level(logger, second, {}, None)

        extension.flush()
        assert {span.name for span in recorder.spans} == {"First", "Second", "inner"}
        assert recorder["First"].context.trace_id == f"{1:032x}"
        assert recorder["inner"].parent_span_id == recorder["Second"].span_id
        assert execution_context.get_current_span() is None
