"""The one way in which the host runs an invocation, whatever triggered it."""

from __future__ import annotations

import time
from collections.abc import Iterable
from random import getrandbits
from typing import TYPE_CHECKING, Protocol

from ..errors import InvocationError
from .call import Call, CallOutcome, FunctionFailed, Reply, Result

if TYPE_CHECKING:
    from ..invocation import LogRecord
    from .console import Console
    from .functions import HostedFunction
    from .supervisor import Supervisor

BY_REQUEST = "This function was programmatically called via the host APIs."
"""Why a function runs that somebody has asked for over HTTP."""


class InvocationListener(Protocol):
    """Who is told of every invocation, to record or to show it. It is called on the host's loop and must be quick."""

    def started(self, call: Call) -> None:
        """An invocation begins; it may still wait for a worker. ``call.payload`` is what its trigger gave."""

    def logged(self, call: Call, records: list[LogRecord]) -> None:
        """Its function, or what that uses, wrote log lines."""

    def ended(self, call: Call, outcome: CallOutcome) -> None:
        """It is over, and its outputs have been delivered or have failed it."""


class Invoker:
    """Runs invocations: tells people and listeners of their start and end, and hands them to the workers.

    An HTTP request costs one :class:`Call` here and nothing else; what only other triggers need is paid for by them.

    :param supervisor: has the workers.
    :param console: shows the two lines that frame every invocation.
    """

    def __init__(self, supervisor: Supervisor, console: Console) -> None:
        self._supervisor = supervisor
        self._console = console
        self._listeners: list[InvocationListener] = []
        self._done = self._answered  # bound once, not for every call

    def add_listener(self, listener: InvocationListener) -> None:
        """Tell ``listener`` of every invocation from now on."""
        self._listeners.append(listener)

    @property
    def running(self) -> int:
        """How many invocations are running or waiting for a worker."""
        return self._supervisor.running

    def invoke(self, function: HostedFunction, payload: list[bytes], reply: Reply, *, reason: str = BY_REQUEST) -> None:
        """Run one invocation.

        :param function: what is called.
        :param payload: what its trigger gives, encoded for the runtime.
        :param reply: told once how it ended, after the outputs have been delivered.
        :param reason: why it runs, for people.
        """
        name, invocation_id = function.name, new_invocation_id()
        call = Call(name, invocation_id, payload, self._done, target=function, reply=reply)
        self._console.invocation(name, f"Executing 'Functions.{name}' (Reason='{reason}', Id={invocation_id})")
        for listener in self._listeners:
            listener.started(call)
        self._supervisor.submit(call)

    def logged(self, call: Call, records: list[LogRecord]) -> None:
        """Pass on the log lines of an invocation, which the console has shown already."""
        for listener in self._listeners:
            listener.logged(call, records)

    def _answered(self, call: Call, outcome: CallOutcome) -> None:
        if isinstance(outcome, Result) and outcome.outputs:
            self._deliver(call, outcome.outputs)
        self._ended(call, outcome)

    def _deliver(self, call: Call, outputs: Iterable[tuple[str, str, bytes]]) -> None:
        assert call.target is not None
        for output, _, data in outputs:
            kind = call.target.outputs.get(output, "return value")
            size = len(data)
            self._console.warning(f"The output {output!r} ({kind}, {size} bytes) is not delivered by this host yet.")

    def _ended(self, call: Call, outcome: CallOutcome) -> None:
        name = call.function
        elapsed = int((time.monotonic() - call.since) * 1000)
        if isinstance(outcome, Result):
            self._console.invocation(
                name, f"Executed 'Functions.{name}' (Succeeded, Id={call.invocation_id}, Duration={elapsed}ms)"
            )
        else:
            self._console.failure(
                name,
                f"Executed 'Functions.{name}' (Failed, Id={call.invocation_id}, Duration={elapsed}ms)\n"
                + _explanation(outcome),
            )
        for listener in self._listeners:
            listener.ended(call, outcome)
        if call.reply is not None:
            call.reply(call, outcome)


def new_invocation_id() -> str:
    """A random UUID (RFC 9562, version 4). It need not be unguessable, and so need not ask the kernel."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"


def _explanation(error: InvocationError) -> str:
    return error.traceback.rstrip() if isinstance(error, FunctionFailed) else str(error)
