"""The timeline of an invocation: what ran for it, when, for how long, and what it raised."""

from __future__ import annotations

import asyncio
import logging

import pytest

from worker_ext import AppExtensionBase

kinds = pytest.mark.parametrize("kind", ["sync", "async"])


class Unspeakable(Exception):
    def __repr__(self):
        raise ValueError


@pytest.fixture
def invoke(worker, trace):
    """Invoke a function with its timeline recorded; gives that, without the times."""

    def invoke(kind, error=None):
        if error is not None:
            trace.errors["function"] = error
        worker.worker.timelines = True
        answer = worker.invoke(worker.load(trace.function(kind)))
        timeline = worker.latest.timeline
        starts = [entry.start for entry in timeline]
        assert starts == sorted(starts)
        assert all(entry.duration >= 0 for entry in timeline)
        return answer, [(entry.extension, entry.name, entry.error) for entry in timeline]

    return invoke


@pytest.fixture
def everything(extensions):
    """An extension with all that runs around an invocation, in the forms that there are."""

    class First(AppExtensionBase):
        @classmethod
        def pre_invocation_app_level(cls, logger, context, func_args):
            raise KeyError("pre")

        @classmethod
        def around_invocation_app_level(cls, logger, context, func_args):
            return (yield)

        @classmethod
        async def post_invocation_app_level(cls, logger, context, func_args, func_ret):
            await asyncio.sleep(0)
            raise Unspeakable

        @classmethod
        def on_invocation_error_app_level(cls, logger, context, func_args, error):
            pass

    class Second(AppExtensionBase):
        @classmethod
        async def around_invocation_app_level(cls, logger, context, func_args, call_next):
            return await call_next()


@kinds
def test_what_ran_in_the_order_of_its_beginnings(everything, invoke, kind):
    answer, entries = invoke(kind)
    assert answer.value == "answer to req"
    assert entries == [
        ("First", "pre_invocation_app_level", "KeyError('pre')"),
        ("First", "around_invocation_app_level", ""),
        ("Second", "around_invocation_app_level", ""),
        ("", "HttpTrigger", ""),
        ("First", "post_invocation_app_level", "Unspeakable"),
    ]


@kinds
def test_of_one_that_failed(everything, invoke, kind):
    error = ValueError("no")
    answer, entries = invoke(kind, error)
    assert answer.error is error
    assert entries[1:] == [
        ("First", "around_invocation_app_level", "ValueError('no')"),
        ("Second", "around_invocation_app_level", "ValueError('no')"),
        ("", "HttpTrigger", "ValueError('no')"),
        ("First", "on_invocation_error_app_level", ""),
    ]


@kinds
def test_without_hooks_it_is_the_function(invoke, kind):
    assert invoke(kind) == (("answer to req", None, []), [("", "HttpTrigger", "")])


@kinds
def test_an_outer_one_takes_as_long_as_all_inside(worker, extensions, invoke, kind):
    class Outer(AppExtensionBase):
        @classmethod
        def around_invocation_app_level(cls, logger, context, func_args):
            return (yield)

    invoke(kind)
    outer, function = worker.latest.timeline
    assert outer.start <= function.start
    assert outer.duration >= function.duration


@kinds
def test_it_goes_to_the_debug_log(make_worker, trace, kind):
    worker = make_worker(environ={"PYTHON_ENABLE_DEBUG_LOGGING": "1"})
    trace.app_extension("App")
    function = worker.load(trace.function(kind))

    async def call():
        logging.root.setLevel(logging.DEBUG)
        return await worker.start(function)

    line = worker.run(call()).lines[-1]
    assert line.level == logging.DEBUG
    assert line.message.startswith("timeline: App.pre_invocation_app_level 0.")
    assert "; HttpTrigger " in line.message
    assert " ms at " in line.message


@kinds
def test_nothing_is_recorded_that_nobody_asked_for(worker, trace, kind):
    trace.app_extension("App")
    assert worker.worker.timelines is False
    assert worker.invoke(worker.load(trace.function(kind))).lines == []
