"""One invocation on its way through the host: asked for, waiting, running on a worker, answered."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from ..errors import InvocationError
from ..invocation import LogRecord, TimelineEntry
from ..runtimes.protocol import COUNT, RESULT_HEAD, unpack_lines

if TYPE_CHECKING:
    from .functions import HostedFunction

_logger = logging.getLogger(__name__)


class Result(NamedTuple):
    """What a successful invocation answered.

    :ivar status: the HTTP status, 0 where there is none.
    :ivar outputs: (binding name, kind of data, data) of each output.
    :ivar parts: the rest, as the runtime encoded it.
    """

    status: int
    outputs: list[tuple[str, str, bytes]]
    parts: Sequence[bytes]


class FunctionFailed(InvocationError):
    """The function, or the conversion of its input or output, raised.

    :param kind: the exception's type name.
    :param text: its message.
    :param traceback: the user's part of its traceback.
    """

    def __init__(self, kind: str, text: str, traceback: str) -> None:
        super().__init__(f"{kind}: {text}" if text else kind)
        self.kind = kind
        self.text = text
        self.traceback = traceback


CallOutcome: TypeAlias = Result | InvocationError
"""How a call ended: what it answered, or why it failed."""

Reply: TypeAlias = "Callable[[Call, CallOutcome], None]"
"""Told how a call ended."""

Begun: TypeAlias = "Callable[[Call, str, Callable[[], None]], None]"
"""Told of a call that a worker has got, where that takes streamed requests, and what cancels the call."""


class Call:
    """One invocation as the host sees it.

    :param function: the function's name.
    :param invocation_id: its id, in the console and in the function's context.
    :param payload: what the trigger gives, encoded for the runtime.
    :param done: told once, by :meth:`answer`, how it ended on its worker.
    :param target: the function, as the edition of the app has it that the call is for.
    :param reply: told when all is done that follows: whoever asked for the call.
    :param names: what the binding expressions of the function can name.
    :param begun: told when a worker gets it, where that worker takes streamed requests, and how to cancel the call.
    :ivar since: when it was handed to the supervisor, as ``time.monotonic`` tells it.
    :ivar started: when a worker got it.
    :ivar number: what ties the worker's answer to it.
    :ivar timeline: what has run for it, as the worker has measured it, if it was asked to.
    """

    __slots__ = (
        "_done",
        "begun",
        "function",
        "invocation_id",
        "names",
        "number",
        "payload",
        "reply",
        "since",
        "started",
        "target",
        "timeline",
    )

    def __init__(
        self,
        function: str,
        invocation_id: str,
        payload: list[bytes],
        done: Reply,
        *,
        target: HostedFunction | None = None,
        reply: Reply | None = None,
        names: Mapping[str, Any] | None = None,
        begun: Begun | None = None,
    ) -> None:
        self.function = function
        self.invocation_id = invocation_id
        self.payload = payload
        self.since = 0.0
        self.started = 0.0
        self.number = 0
        self.target = target
        self.reply = reply
        self.timeline: list[TimelineEntry] = []
        self.names = names
        self.begun = begun
        self._done: Reply | None = done

    @property
    def answered(self) -> bool:
        """Whether :meth:`answer` has been called."""
        return self._done is None

    def answer(self, outcome: CallOutcome) -> None:
        """Tell how it ended; what comes after the first time is ignored."""
        done, self._done = self._done, None
        if done is not None:
            self.payload = []
            try:
                done(self, outcome)
            except Exception:  # of ours: it must cost no other call its answer
                _logger.exception("The answer of %s cannot be delivered", self.function)


def unpack_result(parts: Sequence[bytes]) -> tuple[Result, list[LogRecord]]:
    """Decode a RESULT frame: the result and the log lines.

    :raises ValueError: if there are too few parts.
    """
    lines, outputs, status = RESULT_HEAD.unpack(parts[0])
    if not lines and not outputs:
        return Result(status, [], parts[1:]), []
    at = 1 + 3 * lines
    end = at + 3 * outputs
    if len(parts) < end:
        raise ValueError("a part of the result is missing")
    listed = [(parts[i].decode(), parts[i + 1].decode(), parts[i + 2]) for i in range(at, end, 3)]
    return Result(status, listed, parts[end:]), unpack_lines(parts[1:at])


def unpack_failure(parts: Sequence[bytes]) -> tuple[FunctionFailed, list[LogRecord]]:
    """Decode a FAILURE frame: the error and the log lines."""
    end = 1 + 3 * int(COUNT.unpack(parts[0])[0])
    kind, text, traceback = (part.decode() for part in parts[end:])
    return FunctionFailed(kind, text, traceback), unpack_lines(parts[1:end])
