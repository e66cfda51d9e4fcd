"""How invocations of a client ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from ..invocation import LogRecord, TimelineEntry


@dataclass(repr=False)
class InvocationResult:
    """How one invocation ended.

    :ivar function: the function's name.
    :ivar invocation_id: the id that its context had.
    :ivar value: what the function returned; ``None`` if it failed.
    :ivar outputs: what it put into its output bindings, by name: text, bytes, or what JSON stands for. What it
        returned is ``$return``, unless it is the HTTP response.
    :ivar error: what it raised, or why its input or output could not be converted; ``None`` if it succeeded.
    :ivar logs: the lines that it, its hooks and its libraries logged or printed, in order.
    :ivar timeline: what has run for it, hooks and function, in the order of their beginnings: when, how long, and what
        it raised.
    """

    function: str = ""
    invocation_id: str = ""
    value: Any = None
    outputs: dict[str, Any] = field(default_factory=dict)
    error: BaseException | None = None
    logs: list[LogRecord] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether it has not failed."""
        return self.error is None

    @property
    def messages(self) -> list[str]:
        """The texts of :attr:`logs`."""
        return [line.message for line in self.logs]

    def __repr__(self) -> str:
        ended = f"returned {self.value!r}" if self.error is None else f"raised {self.error!r}"
        put = f", put {self.outputs!r} into its outputs" if self.outputs else ""
        return f"<{self.function} {ended}{put}>"

    def raise_for_error(self) -> None:
        """Raise what the function raised, if it did; for tests that are about something else."""
        if self.error is not None:
            raise self.error


class Headers(Mapping[str, str]):
    """The headers of a response; names in any case.

    :param fields: names and values in the order in which they are sent.
    """

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.fields = fields

    def __getitem__(self, name: str) -> str:
        """The value; of a header that is there several times, all values with commas between them."""
        values = self.get_all(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def get_all(self, name: str) -> list[str]:
        """The values of each header of that name, such as ``set-cookie``."""
        return [value for field, value in self.fields if field == name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self.fields))

    def __len__(self) -> int:
        return len(dict(self.fields))

    def __repr__(self) -> str:
        return f"Headers({self.fields})"


@dataclass(repr=False)
class Response(InvocationResult):
    """The answer to a request, with all that is known of the invocation that made it.

    A function that raises is answered with status 500, as the host does it; :attr:`error` is what it raised. If no
    function has the route, the status is 404 and :attr:`function` is empty.

    :ivar status_code: the HTTP status.
    :ivar headers: the headers.
    :ivar content: the body.
    """

    status_code: int = 200
    headers: Headers = field(default_factory=lambda: Headers([]))
    content: bytes = b""

    @property
    def text(self) -> str:
        """The body as text, in the charset of the response."""
        _, _, charset = self.headers.get("content-type", "").partition("charset=")
        return self.content.decode(charset.strip(' "') or "utf-8")

    def json(self) -> Any:
        """The body, which is JSON."""
        return json.loads(self.content)

    @property
    def is_success(self) -> bool:
        """Whether the status is one of 200 to 299."""
        return 200 <= self.status_code <= 299

    def raise_for_status(self) -> Response:
        """Return this, unless the status is 400 or more.

        :raises Exception: what the function raised; or an ``AssertionError`` if it answered with that status itself.
        """
        self.raise_for_error()
        if self.status_code >= 400:
            raise AssertionError(f"{self!r}: {self.content[:1000].decode(errors='replace')}")
        return self

    def __repr__(self) -> str:
        try:
            status = f"{self.status_code} {HTTPStatus(self.status_code).phrase}"
        except ValueError:
            status = str(self.status_code)
        answered = f"by {self.function}" if self.function else "by no function: none has that route"
        raised = f", which raised {self.error!r}" if self.error is not None else ""
        return f"<Response {status} {answered}{raised}>"
