"""A worker extension for Azure Functions in Python that measures every invocation.

Importing this module registers it. Its hooks run around each invocation, so they do as little as possible: no
table of running invocations (the start time travels on the invocation's own context, and goes away with it), and
log messages that are formatted only if somebody reads them.
"""

from __future__ import annotations

import re
from logging import Logger
from time import perf_counter

from azure.functions import AppExtensionBase, Context, HttpResponse

__all__ = ["TimerExtension"]

_START = "_timer_extension_start"
"""The attribute of a context that holds when its invocation began."""

_BODY = "_HttpResponse__body"
"""Where ``HttpResponse`` keeps its body. azure-functions has ``get_body()`` but no way to set one, and a hook cannot
return another response, so that its private attribute is all there is."""

_BODILESS = frozenset({204, 304})
"""Statuses whose responses have no body (RFC 9110, 6.4.1)."""

_NOT_TOKEN = re.compile(r"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
"""What must not appear in an HTTP token (RFC 9110, 5.6.2), such as the name of a ``Server-Timing`` metric."""


class TimerExtension(AppExtensionBase):
    """Logs how long every invocation takes, and can tell it in HTTP responses."""

    _append_to_http_response = False
    _server_timing = False
    _body_warning_given = False

    @classmethod
    def configure(
        cls, *args: object, append_to_http_response: bool = False, server_timing: bool = False, **kwargs: object
    ) -> None:
        """Choose what HTTP responses tell. Without a call, they tell nothing.

        :param append_to_http_response: put `` (TimeElapsed: … sec)`` at the end of every response's body. It makes
            JSON and other structured or binary bodies invalid.
        :param server_timing: add a ``Server-Timing`` header (https://www.w3.org/TR/server-timing/), which leaves the
            body alone.
        :raises TypeError: for a positional argument, or an option that does not exist.
        """
        if args or kwargs:
            unknown = ", ".join(kwargs) or "positional arguments"
            raise TypeError(
                f"TimerExtension.configure() does not take {unknown}; "
                "its options are append_to_http_response and server_timing, as keywords"
            )
        cls._append_to_http_response = append_to_http_response
        cls._server_timing = server_timing

    @classmethod
    def pre_invocation_app_level(
        cls, logger: Logger, context: Context, func_args: object = None, *args: object, **kwargs: object
    ) -> None:
        """Note when the invocation begins."""
        logger.info("Start time of %s recorded", context.function_name)
        setattr(context, _START, perf_counter())

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
        """Tell how long the invocation took."""
        end = perf_counter()
        start: float | None = getattr(context, _START, None)
        if start is None:  # the app imported this module in the course of its first invocation
            return
        elapsed = end - start
        logger.info("Time taken to execute %s is %s sec", context.function_name, elapsed)
        if isinstance(func_ret, HttpResponse):
            if cls._server_timing:
                _add_server_timing(func_ret, context.function_name, elapsed)
            if cls._append_to_http_response:
                cls._append_to_body(logger, func_ret, f" (TimeElapsed: {elapsed} sec)")

    @classmethod
    def _append_to_body(cls, logger: Logger, response: HttpResponse, text: str) -> None:
        if not hasattr(response, _BODY):
            if not cls._body_warning_given:
                cls._body_warning_given = True
                logger.warning(
                    "append_to_http_response has no effect with this version of azure-functions: "
                    "its HttpResponse keeps the body elsewhere. server_timing does not depend on that."
                )
            return
        if response.status_code in _BODILESS:
            return
        old = response.get_body()
        body = old + _encode(text, response.charset, is_first=not old)
        setattr(response, _BODY, body)
        if "Content-Length" in response.headers:
            response.headers["Content-Length"] = str(len(body))


def _encode(text: str, charset: str, *, is_first: bool) -> bytes:
    """Bytes of ``text`` that can follow other text in that charset.

    UTF-16, UTF-32 and UTF-8 with signature begin with a byte order mark, which belongs at the beginning of a body only.
    """
    try:
        return text.encode(charset)[0 if is_first else len("".encode(charset)) :]
    except LookupError:  # no such charset: the function has encoded its body itself, and the text is all ASCII
        return text.encode("ascii")


def _add_server_timing(response: HttpResponse, function_name: str, elapsed: float) -> None:
    metric = f"{_NOT_TOKEN.sub('_', function_name)};dur={elapsed * 1000:.3f}"
    others = response.headers.get("Server-Timing")
    response.headers["Server-Timing"] = f"{others}, {metric}" if others else metric
