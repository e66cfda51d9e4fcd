"""The extension: what it can be told, and what it does around an invocation."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from logging import Logger
from typing import Any

from azure.functions import AppExtensionBase, Context, HttpResponse
from opencensus.trace.samplers import AlwaysOnSampler

from .azure_monitor import CONNECTION_STRING, make_azure_exporter
from .background import GRACE, BackgroundExporter, NullExporter
from .invocation import TracedInvocation
from .libraries import integrate

_logger = logging.getLogger(__package__)

_TRACER = "tracer"
"""The attribute of a context under which functions find their tracer."""

_TRACED = "_telemetry_extension_invocation"
"""The attribute of a context that holds its :class:`TracedInvocation`."""


class OpenCensusExtension(AppExtensionBase):
    """Makes a span of every invocation, and a tracer that functions find as ``context.tracer``."""

    _sampler: Any = AlwaysOnSampler()
    _destination: tuple[Any, str] = (None, "")  # what was asked for: an exporter or a connection string
    _exporter: Any = None  # what that gave; apps add telemetry processors to it by this name
    _outlet: BackgroundExporter | NullExporter = NullExporter()
    _configured = False
    _told_of_no_export = False

    @classmethod
    def configure(
        cls,
        libraries: Iterable[str] = (),
        *args: object,
        sampler: Any = None,
        exporter: Any = None,
        connection_string: str | None = None,
        **kwargs: object,
    ) -> None:
        """Say what is traced and where the spans go. A later call replaces what an earlier one said.

        Calls with the same destination share one exporter. A library stays traced.

        :param libraries: the libraries whose calls become spans, such as ``["requests"]``; each takes the package
            ``opencensus-ext-<name>``.
        :param sampler: the OpenCensus sampler that decides which invocations are recorded; all if left out.
        :param exporter: any OpenCensus exporter. Its ``export`` is called on a background thread.
        :param connection_string: of Application Insights; takes the extra ``azure``. Without this and ``exporter``,
            the setting ``APPLICATIONINSIGHTS_CONNECTION_STRING`` is used, and without that nothing is exported.
        :raises TypeError: for an option that does not exist, or a value that cannot be what it is given as.
        :raises ValueError: if the connection string is wrong, or an exporter is given as well.
        :raises ImportError: if the package for a library or for Application Insights is not installed.
        """
        if args or kwargs:
            unknown = ", ".join(kwargs) or "more than one positional argument"
            raise TypeError(
                f"OpenCensusExtension.configure() does not take {unknown}; its options are libraries, sampler, "
                "exporter and connection_string. What an exporter can be told is told to the exporter itself"
            )
        names = _checked_names(libraries)
        _check_has("should_sample", sampler=sampler)
        _check_has("export", exporter=exporter)
        if exporter is not None and connection_string:
            raise ValueError("OpenCensusExtension.configure() takes an exporter or a connection_string, not both")
        integrate(names)
        cls._connect(exporter, connection_string)
        cls._sampler = AlwaysOnSampler() if sampler is None else sampler
        cls._configured = True

    @classmethod
    def flush(cls, timeout: float = GRACE) -> bool:
        """Export what has been recorded now. The end of the process does this by itself.

        :param timeout: seconds to wait for it.
        :returns: whether everything has been handed to the exporter.
        """
        return cls._outlet.flush(timeout)

    @classmethod
    def post_function_load_app_level(
        cls, function_name: str, function_directory: str, *args: object, **kwargs: object
    ) -> None:
        """Take the settings for an app that never calls :meth:`configure`, now that its own code has run."""
        if not cls._configured:
            cls._configured = True  # even if it fails: it is told once
            cls.configure()

    @classmethod
    def pre_invocation_app_level(
        cls, logger: Logger, context: Context, func_args: object = None, *args: object, **kwargs: object
    ) -> None:
        """Begin the invocation's span, and give the function its tracer."""
        if cls._exporter is None and not cls._told_of_no_export:
            cls._told_of_no_export = True
            logger.info(
                "Spans are made but not exported: give OpenCensusExtension.configure() an exporter or a "
                "connection_string, or set %s",
                CONNECTION_STRING,
            )
        traced = TracedInvocation(context, cls._sampler, cls._outlet)
        setattr(context, _TRACED, traced)
        setattr(context, _TRACER, traced.tracer)

    @classmethod
    def post_invocation_app_level(
        cls,
        logger: Logger,
        context: Context,
        func_args: object = None,
        func_ret: object = None,
        *args: object,
        **kwargs: object,
    ) -> None:
        """End the span of a function that returned."""
        traced = _traced(context)
        if traced is not None:
            traced.succeed(func_ret.status_code if isinstance(func_ret, HttpResponse) else None)

    @classmethod
    def on_invocation_error_app_level(
        cls, logger: Logger, context: Context, func_args: object, error: BaseException, *args: object, **kwargs: object
    ) -> None:
        """End the span of a function that raised, on workers that tell of it; others never call this."""
        traced = _traced(context)
        if traced is not None:
            traced.fail(error)

    @classmethod
    def _connect(cls, exporter: Any, connection_string: str | None) -> None:
        address = "" if exporter is not None else connection_string or os.environ.get(CONNECTION_STRING, "")
        if cls._destination[0] is exporter and cls._destination[1] == address:
            return  # v1 apps configure the extension in the script of each function
        destination = exporter, address
        outlet: BackgroundExporter | NullExporter = NullExporter()
        if exporter is not None:
            outlet = BackgroundExporter(exporter.export)
        elif address:
            try:
                source = "connection_string" if connection_string else f"the setting {CONNECTION_STRING}"
                exporter = make_azure_exporter(address, source)
                outlet = BackgroundExporter(exporter.emit)
            except ImportError as error:
                if connection_string:
                    raise
                # The host uses this setting as well: that it is there must not keep an app from loading.
                _logger.warning("%s is set, but spans are not exported. %s", CONNECTION_STRING, error)
        replaced, cls._outlet = cls._outlet, outlet
        cls._exporter, cls._destination = exporter, destination
        replaced.close(timeout=0)


def _traced(context: Context) -> TracedInvocation | None:
    """The invocation that the pre hook has begun; none if the app imported this module in the course of it."""
    return getattr(context, _TRACED, None)


def _checked_names(libraries: Iterable[str]) -> list[str]:
    names = [libraries] if isinstance(libraries, str) else list(libraries)
    for name in names:
        if not (isinstance(name, str) and name.isidentifier()):
            raise TypeError(f"libraries is a list of names such as 'requests'; {name!r} is not one")
    return names


def _check_has(method: str, **options: Any) -> None:
    for option, value in options.items():
        if value is not None and not callable(getattr(value, method, None)):
            raise TypeError(f"{option} must be an OpenCensus {option}, with a method {method}(), not {value!r}")
