"""The extension: what it can be told, and what it does around an invocation."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from logging import Logger
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry.instrumentation.threading import ThreadingInstrumentor

from .instruments import Instruments
from .invocation import TracedInvocation
from .log_records import Handler, emit
from .providers import Providers, find_providers

try:
    from worker_ext import AppExtensionBase
except ImportError:  # on a worker that runs the classic hooks alone
    from azure.functions import AppExtensionBase

_TRACED = "_opentelemetry_extension_invocation"
"""The attribute of a context that holds its :class:`TracedInvocation`."""

_GRACE = 1.5
"""Seconds that the end of the process waits for each signal."""


class OpenTelemetryExtension(AppExtensionBase):
    """Makes a span, metrics and log records of every invocation.

    The span begins before all other hooks. Where the worker runs ``around`` hooks, it ends with the function, whatever
    that does; elsewhere, in the post hook, which a function that raises never reaches.
    """

    priority = 1000

    _providers: Providers | None = None
    _tracer: Any = None
    _instruments: Any = None
    _logs = True
    _sees_lines = False  # whether the worker calls on_log
    _handler: Handler | None = None
    _cold = True

    @classmethod
    def configure(
        cls,
        *,
        tracer_provider: Any = None,
        meter_provider: Any = None,
        logger_provider: Any = None,
        logs: bool = True,
        threads: bool = True,
    ) -> None:
        """Take providers that the app has made, or turn parts off. Without a call, the ``OTEL_*`` variables decide.

        :param tracer_provider: makes tracers; the global one if left out.
        :param meter_provider: makes meters; the global one if left out.
        :param logger_provider: makes loggers; the global one if left out.
        :param logs: whether log lines become log records.
        :param threads: whether threads that a function starts know its span.
        :raises ValueError: if an ``OTEL_*`` variable names what is not installed.
        """
        found = find_providers()
        cls._use(
            Providers(tracer_provider or found.tracer, meter_provider or found.meter, logger_provider or found.logger),
            logs=logs,
        )
        instrumentor = ThreadingInstrumentor()
        if threads and not instrumentor.is_instrumented_by_opentelemetry:
            instrumentor.instrument()

    @classmethod
    def flush(cls, timeout: float = _GRACE) -> bool:
        """Export now what waits for it.

        :param timeout: seconds that each signal has.
        :returns: whether all of it was handed to the exporters.
        """
        return cls._providers is None or cls._providers.flush(timeout)

    @classmethod
    def post_function_load_app_level(
        cls, function_name: str, function_directory: str, *args: Any, **kwargs: Any
    ) -> None:
        """Take the settings of an app that never calls :meth:`configure`, now that its own code has run."""
        cls._settle()

    @classmethod
    def pre_invocation_app_level(
        cls, logger: Logger, context: Any, func_args: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """Begin the span."""
        cls._settle()
        if cls._logs and not cls._sees_lines and cls._handler is None:
            cls._watch_logging()
        cold, cls._cold = cls._cold, False
        setattr(context, _TRACED, TracedInvocation(cls._tracer, cls._instruments, context, func_args or {}, cold=cold))

    @classmethod
    def around_invocation_app_level(
        cls, logger: Logger, context: Any, func_args: Any = None, *args: Any, **kwargs: Any
    ) -> Iterator[Any]:
        """End the span with the function."""
        traced: TracedInvocation | None = getattr(context, _TRACED, None)
        if traced is None:  # the app imported this module in the course of its first invocation
            return (yield)
        traced.call()
        try:
            result = yield
        except BaseException as error:
            traced.fail(error)
            raise
        traced.succeed(result)
        return result

    @classmethod
    def post_invocation_app_level(
        cls, logger: Logger, context: Any, func_args: Any = None, func_ret: Any = None, *args: Any, **kwargs: Any
    ) -> None:
        """End the span, if the worker does not run ``around`` hooks."""
        traced: TracedInvocation | None = getattr(context, _TRACED, None)
        if traced is None:
            return
        if traced.ended:
            traced.after()
        else:
            traced.succeed(func_ret)
            traced.detach()

    @classmethod
    def on_startup(cls) -> None:
        """Note that this worker knows the added hooks."""
        cls._sees_lines = True

    @classmethod
    def on_shutdown(cls) -> None:
        """Export what waits: the process is about to end."""
        cls.flush()

    @classmethod
    def on_log(cls, record: Any) -> None:
        """Make a log record of a line."""
        if cls._logs and cls._providers is not None:
            context = record.context
            attributes = {"faas.invocation_id": context.invocation_id} if context is not None else {}
            emit(cls._providers.logger, record.level, record.name, record.message, attributes)

    @classmethod
    def _use(cls, providers: Providers, *, logs: bool) -> None:
        cls._tracer = trace.get_tracer(__package__, tracer_provider=providers.tracer)
        cls._instruments = Instruments(metrics.get_meter(__package__, meter_provider=providers.meter))
        cls._logs = logs and hasattr(providers.logger, "force_flush")
        cls._providers = providers

    @classmethod
    def _settle(cls) -> None:
        """Follow the variables, unless that has been done. A mistake in them is told once, and costs no function."""
        if cls._providers is not None:
            return
        try:
            cls.configure()
        except ValueError as error:
            logging.getLogger(cls.__name__).error("Nothing is reported: %s", error)
            nothing = Providers(trace.NoOpTracerProvider(), metrics.NoOpMeterProvider(), _logs.NoOpLoggerProvider())
            cls._use(nothing, logs=False)

    @classmethod
    def _watch_logging(cls) -> None:
        assert cls._providers is not None
        cls._handler = Handler(cls._providers.logger)
        logging.getLogger().addHandler(cls._handler)
