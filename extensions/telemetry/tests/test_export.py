"""Exporting: nobody waits for it, and nothing is lost that need not be."""

from __future__ import annotations

import importlib
import threading
from contextvars import copy_context
from functools import partial

import pytest
from opencensus.trace import base_exporter, execution_context


class Hanging:
    """An exporter whose collector does not answer before ``answering`` is set."""

    def __init__(self):
        self.spans = []
        self.called = threading.Event()
        self.answering = threading.Event()

    def export(self, spans):
        self.called.set()
        self.answering.wait()
        self.spans += spans


@pytest.fixture
def hanging(worker):
    exporter = Hanging()
    worker.extension.configure(exporter=exporter)
    yield exporter
    exporter.answering.set()


@pytest.fixture
def background(worker):
    return importlib.import_module("python_worker_extension_telemetry.background")


class TestACollectorThatHangs:
    def test_keeps_no_invocation_waiting_and_gets_all_later(self, worker, hanging, context):
        for number in range(500):
            worker.invoke(lambda _: None, context(invocation_id=str(number)))
        assert hanging.called.wait(10)
        assert hanging.spans == []

        hanging.answering.set()
        assert worker.extension.flush()
        ids = [span.attributes["faas.invocation_id"] for span in hanging.spans]
        assert ids == [str(number) for number in range(500)]

    def test_flush_waits_for_it_only_as_long_as_it_is_told_to(self, worker, hanging):
        worker.invoke(lambda _: None)
        assert worker.extension.flush(timeout=0.05) is False
        assert hanging.spans == []

    def test_costs_a_limited_number_of_spans(self, worker, background, hanging, caplog):
        outlet = background.BackgroundExporter(hanging.export, capacity=3, interval=0)
        span = type("Span", (), {"end_time": "now"})
        outlet.export([span])
        assert hanging.called.wait(10)  # it is being delivered: it waits no longer
        for _ in range(5):
            outlet.export([span, span])
        hanging.answering.set()
        assert outlet.close()

        assert len(hanging.spans) == 4
        (told,) = caplog.messages
        assert "7 spans were dropped" in told


class TestDelivery:
    def test_is_on_a_thread_that_traces_no_requests(self, worker):
        seen = []

        class Exporter:
            def export(self, spans):
                seen.append((threading.current_thread(), execution_context.is_exporter()))

        worker.extension.configure(exporter=Exporter())
        worker.invoke(lambda _: None)
        worker.extension.flush()
        ((thread, is_exporter),) = seen
        assert thread is not threading.current_thread()
        assert thread.daemon
        assert is_exporter

    def test_belongs_to_no_invocation_on_workers_that_let_threads_inherit_it(self, worker, monkeypatch):
        start, spans = threading.Thread.start, []

        def start_in_context(thread):
            if execution_context.get_current_span() is not None:
                thread.run = partial(copy_context().run, thread.run)
            start(thread)

        class Exporter:
            def export(self, _):
                spans.append(execution_context.get_current_span())

        monkeypatch.setattr(threading.Thread, "start", start_in_context)
        worker.invoke(lambda _: worker.extension.configure(exporter=Exporter()))
        worker.invoke(lambda _: None)
        worker.extension.flush()
        assert spans == [None]

    def test_is_in_batches(self, worker, background, context):
        batches = []
        outlet = background.BackgroundExporter(batches.append, interval=60)
        span = type("Span", (), {"end_time": "now"})
        outlet.export([span] * 250)
        assert outlet.close()
        assert [len(batch) for batch in batches] == [100, 100, 50]

    def test_does_not_wait_for_a_batch_to_become_full(self, background):
        delivered = threading.Event()
        outlet = background.BackgroundExporter(lambda batch: delivered.set(), interval=0.01)
        outlet.export([type("Span", (), {"end_time": "now"})])
        assert delivered.wait(10)
        outlet.close()

    def test_goes_on_after_an_exporter_raised(self, worker, caplog):
        spans = []

        class Exporter(base_exporter.Exporter):
            def export(self, batch):
                if not spans:
                    spans.append(None)
                    raise OSError("no route to host")
                spans.extend(batch)

        worker.extension.configure(exporter=Exporter())
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        worker.invoke(lambda _: None)
        assert worker.extension.flush()

        assert len(spans) == 2
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "1 spans could not be exported" in record.getMessage()
        assert "no route to host" in record.exc_text

    def test_leaves_out_spans_without_an_end(self, worker, recorder):
        def function(context):
            with context.tracer.span("parent") as parent:
                parent.span("a child that never ended")

        worker.invoke(function)
        worker.extension.flush()
        assert {span.name for span in recorder.spans} == {"HttpTrigger", "parent"}


class TestAnotherExporter:
    def test_gets_what_comes_from_now_on(self, worker, recorder):
        worker.invoke(lambda _: None)
        second = Hanging()
        second.answering.set()
        worker.extension.configure(exporter=second)
        worker.invoke(lambda _: None)
        assert worker.extension.flush()
        assert len(second.spans) == 1

    def test_does_not_keep_the_first_from_getting_the_rest(self, worker, recorder):
        hanging = Hanging()
        before = set(threading.enumerate())
        worker.extension.configure(exporter=hanging)
        (thread,) = set(threading.enumerate()) - before
        worker.invoke(lambda _: None)
        worker.extension.configure(exporter=recorder)
        hanging.answering.set()
        thread.join(10)
        assert not thread.is_alive()
        assert len(hanging.spans) == 1


def test_without_an_exporter_the_tracer_works_and_the_log_says_so_once(worker, caplog):
    def function(context):
        with context.tracer.span("inner") as span:
            return span.span_id

    assert worker.invoke(function) != worker.invoke(function)
    assert worker.extension.flush()
    (message,) = caplog.messages
    assert "not exported" in message
    assert caplog.records[0].levelname == "INFO"
