"""The one way in which the host runs an invocation, whatever triggered it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Mapping
from random import getrandbits, random
from typing import TYPE_CHECKING, Any, Protocol

from ..errors import InvocationError, WorkerBusy
from ..runtimes.azure.trigger_payload import Retry, encode_inputs, encode_trigger
from .bindings.base import BindingFailed
from .call import Begun, Call, CallOutcome, FunctionFailed, Reply, Result

if TYPE_CHECKING:
    from ..invocation import LogRecord
    from .console import Console
    from .functions import HostedFunction
    from .storage import Storage
    from .supervisor import Supervisor
    from .triggers.base import TriggerEvent

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
    """Runs invocations: input bindings, a worker, output bindings; tells people and listeners of start and end.

    An HTTP request without bindings costs one :class:`Call` here and nothing else: no task, no future.

    :param supervisor: has the workers.
    :param console: shows the lines that frame every invocation.
    :param storage: the connections to storage accounts.
    """

    def __init__(self, supervisor: Supervisor, console: Console, storage: Storage) -> None:
        self._supervisor = supervisor
        self._console = console
        self._storage = storage
        self._listeners: list[InvocationListener] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._done = self._answered  # bound once, not for every call

    def add_listener(self, listener: InvocationListener) -> None:
        """Tell ``listener`` of every invocation from now on."""
        self._listeners.append(listener)

    def invoke(
        self,
        function: HostedFunction,
        payload: list[bytes],
        reply: Reply,
        *,
        reason: str = BY_REQUEST,
        names: Mapping[str, Any] | None = None,
        details: Mapping[str, Any] | None = None,
        begun: Begun | None = None,
    ) -> None:
        """Run one invocation, once.

        :param function: what is called.
        :param payload: what its trigger gives, encoded for the runtime.
        :param reply: told once how it ended, after the outputs have been delivered.
        :param reason: why it runs, for people.
        :param names: what its binding expressions can name, if it has bindings.
        :param details: more about the trigger, for people.
        :param begun: told when a worker gets it.
        """
        name, invocation_id = function.name, new_invocation_id()
        call = Call(name, invocation_id, payload, self._done, target=function, reply=reply, names=names, begun=begun)
        self._console.invocation(name, f"Executing 'Functions.{name}' (Reason='{reason}', Id={invocation_id})")
        if details:
            shown = ", ".join(f"{key}: {value}" for key, value in details.items())
            self._console.invocation(name, f"Trigger Details: {shown}")
        for listener in self._listeners:
            listener.started(call)
        if function.inputs:
            call.since = time.monotonic()
            self._later(self._read_inputs(call, function))
        else:
            self._supervisor.submit(call)

    async def run(
        self, function: HostedFunction, event: TriggerEvent, stopping: asyncio.Event | None = None
    ) -> CallOutcome:
        """Run a function that no HTTP request triggers, and again as its retry policy says; give the last outcome.

        :param function: what is called.
        :param event: what has happened.
        :param stopping: when this is set, it is not tried again.
        """
        policy, tries, error = function.retry, 0, ""
        inputs = [(function.trigger["name"], event.kind, event.data)]
        while True:
            retry = Retry(tries, policy.max_retry_count, error) if policy is not None else None
            payload = encode_trigger(inputs, metadata=event.metadata, retry=retry)
            outcome = await self._once(function, payload, event)
            if isinstance(outcome, (Result, WorkerBusy)) or policy is None or tries == policy.max_retry_count:
                return outcome
            from .retries import delay

            pause = delay(policy, tries, random())
            tries, error = tries + 1, str(outcome)
            limit = "no limit" if policy.max_retry_count < 0 else f"{policy.max_retry_count} at most"
            self._console.info(f"{function.name} is tried again in {pause} (retry {tries}, {limit}).")
            if await _is_set_within(stopping, pause.total_seconds()):
                return outcome

    async def run_by_hand(self, function: HostedFunction, text: str) -> CallOutcome:
        """Run a function that no HTTP request triggers with what somebody gives for its trigger.

        :param text: the message's text, the blob's path, the event's JSON; timers ignore it.
        """
        from .triggers.by_hand import event_by_hand

        try:
            event = await event_by_hand(function.trigger, function.starter, self._storage, text)
        except InvocationError as error:
            self._console.error(f"{function.name} cannot be run by hand: {error}")
            return error
        return await self.run(function, event)

    def logged(self, call: Call, records: list[LogRecord]) -> None:
        """Pass on the log lines of an invocation, which the console has shown already."""
        for listener in self._listeners:
            listener.logged(call, records)

    async def close(self) -> None:
        """Wait until the outputs of all invocations have been delivered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _once(self, function: HostedFunction, payload: list[bytes], event: TriggerEvent) -> CallOutcome:
        ended: asyncio.Future[CallOutcome] = asyncio.get_running_loop().create_future()

        def reply(_: Call, outcome: CallOutcome) -> None:
            if not ended.done():
                ended.set_result(outcome)

        names = event.names if function.is_bound else None
        self.invoke(function, payload, reply, reason=event.reason, names=names, details=event.details)
        return await ended

    async def _read_inputs(self, call: Call, function: HostedFunction) -> None:
        try:
            found = [(each.name, *await each.read(self._storage, call.names or {})) for each in function.inputs]
        except InvocationError as error:
            call.answer(error)
        except Exception as error:  # of the storage's SDK
            call.answer(BindingFailed(f"an input of {call.function} cannot be read: {error}"))
        else:
            call.payload += encode_inputs(found)
            self._supervisor.submit(call)

    def _answered(self, call: Call, outcome: CallOutcome) -> None:
        if isinstance(outcome, Result) and outcome.outputs:
            self._later(self._write_outputs(call, outcome))
        else:
            self._ended(call, outcome)

    async def _write_outputs(self, call: Call, result: Result) -> None:
        outcome: CallOutcome = result
        try:
            for name, kind, value in result.outputs:
                await self._write_output(call, name, kind, value)
        except InvocationError as error:
            outcome = error
        except Exception as error:  # of the storage's SDK
            outcome = BindingFailed(f"an output of {call.function} cannot be delivered: {error}")
        self._ended(call, outcome)

    async def _write_output(self, call: Call, name: str, kind: str, value: bytes) -> None:
        assert call.target is not None
        output = call.target.outputs.get(name)
        if output is not None:
            await output.write(self._storage, call.names or {}, kind, value)
        else:
            kind = call.target.undelivered.get(name, "return value")
            size = len(value)
            self._console.warning(f"The output {name!r} ({kind}, {size} bytes) is not delivered by this host.")

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

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def new_invocation_id() -> str:
    """A random UUID (RFC 9562, version 4). It need not be unguessable, and so need not ask the kernel."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"


def _explanation(error: InvocationError) -> str:
    return error.traceback.rstrip() if isinstance(error, FunctionFailed) else str(error)


async def _is_set_within(event: asyncio.Event | None, seconds: float) -> bool:
    if event is None:
        await asyncio.sleep(seconds)
        return False
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return False
    return True
