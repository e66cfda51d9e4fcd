"""A worker extension for Azure Functions in Python: one place for what functions raise.

HTTP functions answer with Problem Details (RFC 9457) instead of a bare status 500; what nobody expected is reported.
Importing this module registers it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from inspect import iscoroutinefunction
from logging import Logger
from typing import Any

from azure.functions import Context, HttpRequest, HttpResponse

from worker_ext import AppExtensionBase

__all__ = ["ErrorsExtension", "Problem"]

Report = Callable[[Exception, Context], object]
"""Is told of an error that nobody expected, and of the invocation that it ended."""


class Problem(Exception):
    """What is wrong with a request, as the client is told it. Functions raise it; it is not reported.

    :param status: the HTTP status.
    :param title: what kind of problem it is; the status's own phrase if left out.
    :param detail: what is wrong in this case.
    :param type: a URI that stands for the kind of problem.
    :param headers: headers of the answer, such as ``Retry-After``.
    :param members: more members of the JSON object.
    """

    def __init__(
        self,
        status: int,
        title: str | None = None,
        *,
        detail: str | None = None,
        type: str | None = None,
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(f"{status} {title or phrase(status)}" + (f": {detail}" if detail else ""))
        self.status = status
        self.headers = dict(headers or {})
        given = {"type": type, "title": title or phrase(status), "status": status, "detail": detail}
        self.members = {**members, **{name: value for name, value in given.items() if value is not None}}

    def response(self, invocation_id: str) -> HttpResponse:
        """The answer. Its ``instance`` is the invocation's id, by which its log lines are found."""
        body = {**self.members, "instance": f"urn:uuid:{invocation_id}"}
        return HttpResponse(
            json.dumps(body, default=str),
            status_code=self.status,
            headers=self.headers,
            mimetype="application/problem+json",
        )


def phrase(status: int) -> str:
    """What HTTP calls a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


class ErrorsExtension(AppExtensionBase):
    """Answers for functions that raise.

    What other extensions around the function raise is answered in the same way, as long as they come after this one.
    """

    priority = 500
    _statuses: Mapping[type[Exception], int] = {}
    _report: Report | None = None
    _details = False

    @classmethod
    def configure(
        cls,
        *,
        statuses: Mapping[type[Exception], int] | None = None,
        report: Report | None = None,
        details: bool = False,
    ) -> None:
        """Say what errors mean. A later call replaces what an earlier one said.

        :param statuses: type of exception → the status that a request is answered with; the nearest base class counts.
            Statuses below 500 are the client's fault, and not reported.
        :param report: called with each error that is reported, and the context; the log tells of them in any case.
        :param details: whether clients are told the messages of reported errors, which may hold secrets.
        :raises TypeError: for what is no exception class, or a ``report`` that would have to be awaited.
        :raises ValueError: for a status that is none of an error.
        """
        for error, status in (statuses or {}).items():
            if not (isinstance(error, type) and issubclass(error, Exception)):
                raise TypeError(f"statuses maps exception classes to statuses; {error!r} is no exception class")
            if not 400 <= status <= 599:
                raise ValueError(f"statuses maps {error.__name__} to {status}; errors have 400 to 599")
        if report is not None and (not callable(report) or iscoroutinefunction(report)):
            raise TypeError(f"report must be a plain function of the error and the context, not {report!r}")
        cls._statuses, cls._report, cls._details = dict(statuses or {}), report, details

    @classmethod
    def around_invocation_app_level(
        cls, logger: Logger, context: Context, func_args: Mapping[str, Any], *args: Any, **kwargs: Any
    ) -> Iterator[Any]:
        """Run the function; answer for it if it raises."""
        try:
            return (yield)
        except Exception as error:
            problem = cls._problem(error)
            if problem.status >= 500 and not isinstance(error, Problem):
                cls._tell(logger, context, error)
            if not any(isinstance(value, HttpRequest) for value in func_args.values()):
                raise  # the host retries it, or puts the message aside
            return problem.response(context.invocation_id)

    @classmethod
    def _problem(cls, error: Exception) -> Problem:
        if isinstance(error, Problem):
            return error
        status = next((cls._statuses[kind] for kind in type(error).__mro__ if kind in cls._statuses), 500)
        return Problem(status, detail=str(error) or None if status < 500 or cls._details else None)

    @classmethod
    def _tell(cls, logger: Logger, context: Context, error: Exception) -> None:
        logger.error("%s failed: %r", context.function_name, error, exc_info=error)
        if cls._report is not None:
            try:
                cls._report(error, context)
            except Exception:
                logger.exception("the error of %s could not be reported", context.function_name)
