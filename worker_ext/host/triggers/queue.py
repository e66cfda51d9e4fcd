"""Queue triggers: a function runs for each message of a storage queue.

A message that is being handled is invisible to others for a while, and that is prolonged as long as the function runs.
When it has run, the message is deleted; when it has failed, or its worker has died, the message is given back and
comes again. Nothing is lost on the way: whatever ends in between, the message is still in the queue.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-trigger
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from ...errors import InvocationError, WorkerBusy
from ..bindings.base import Scope
from ..bindings.expressions import json_properties
from ..setting_values import resolve_settings
from ..storage import Storage, check_installed, connection_string
from ..storage_queues import check_queue_name, queue_options
from .base import TriggerEvent, TriggerServices
from .by_hand import REASON
from .polling import Pause, Trouble, first_of

INVISIBLE = 60
"""Seconds that a message which is being handled stays invisible to others, unless that is prolonged."""

_PROLONG_EVERY = INVISIBLE / 3
_LONGEST_BUSY_PAUSE = 1.0
_POISON = "-poison"


class QueueTrigger:
    """Has its function run for each message of a queue.

    :param binding: the trigger's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if a property or a setting is missing or wrong.
    :ivar queue: the name of the queue.
    :ivar options: what host.json says about queues.
    """

    exclusive = False

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        check_installed("queue")
        what = "the queueName of its trigger"
        self.queue = resolve_settings(str(binding.get("queueName") or ""), scope.environ, what).lower()
        check_queue_name(self.queue, what)
        self._connection = connection_string(binding.get("connection"), scope.environ)
        self.options = queue_options(scope)
        self._binary = str(binding.get("dataType", "")).lower() == "binary"

    async def watch(self, services: TriggerServices) -> None:
        """Take messages and have the function run for each (see :meth:`Trigger.watch`)."""
        client = services.storage.client("queue", self._connection)
        handling = _Handling(self, client, services)
        prolonging = asyncio.ensure_future(handling.prolong_all())
        try:
            await self._take(handling, services)
            await handling.wait_until(0)
        finally:
            prolonging.cancel()

    async def by_hand(self, storage: Storage, text: str) -> TriggerEvent:
        """What a message of that text would give the function."""
        now = datetime.now(UTC)
        message = _Message("00000000-0000-0000-0000-000000000000", "", 1, now, now + timedelta(days=7), now)
        return self.event(message, text.encode(), REASON)

    async def _take(self, handling: _Handling, services: TriggerServices) -> None:
        options, stopping = self.options, services.stopping
        pause = Pause(options.longest_pause.total_seconds())
        trouble = Trouble(services.console, f"The queue {self.queue}")
        while not stopping.is_set():
            if len(handling.tasks) > options.new_batch_threshold:
                await first_of(handling.wait_until(options.new_batch_threshold), stopping.wait())
                continue
            found = await trouble.survive(handling.receive(options.batch_size))
            for message, text in found or ():
                handling.begin(message, text)
            await pause.after(bool(found), stopping)

    def event(self, message: _Message, body: bytes, reason: str = "") -> TriggerEvent:
        """What a message gives the function."""
        kind = "bytes" if self._binary or not _is_text(body) else "string"
        facts = {
            "Id": message.id,
            "DequeueCount": message.dequeue_count,
            "InsertionTime": message.inserted_on.isoformat(),
            "ExpirationTime": message.expires_on.isoformat(),
            "NextVisibleTime": message.next_visible_on.isoformat(),
            "PopReceipt": message.pop_receipt,
        }
        text = body.decode(errors="replace")
        return TriggerEvent(
            kind,
            body,
            reason or f"New queue message detected on '{self.queue}'.",
            metadata={**facts, "QueueTrigger": text},
            names={**json_properties(body), **facts, "queueTrigger": text},
            details={"MessageId": message.id, "DequeueCount": message.dequeue_count, "InsertedOn": message.inserted_on},
        )


class _Message:
    """One message that has been taken; its receipt changes whenever it is prolonged."""

    def __init__(
        self,
        id: str,
        pop_receipt: str,
        dequeue_count: int,
        inserted_on: datetime,
        expires_on: datetime,
        next_visible_on: datetime,
    ) -> None:
        self.id = id
        self.pop_receipt = pop_receipt
        self.dequeue_count = dequeue_count
        self.inserted_on = inserted_on
        self.expires_on = expires_on
        self.next_visible_on = next_visible_on
        self.lock = asyncio.Lock()
        self.taken = asyncio.get_running_loop().time()


class _Handling:
    """The messages that are being handled."""

    def __init__(self, trigger: QueueTrigger, client: Any, services: TriggerServices) -> None:
        self._trigger = trigger
        self._client = client
        self._queue = client.get_queue_client(trigger.queue)
        self._services = services
        self._messages: set[_Message] = set()
        self._ended = asyncio.Event()
        self.tasks: set[asyncio.Task[None]] = set()

    async def receive(self, most: int) -> list[tuple[_Message, str]]:
        """Take some messages, none if the queue does not exist yet."""
        from azure.core.exceptions import ResourceNotFoundError

        pages = self._queue.receive_messages(messages_per_page=most, visibility_timeout=INVISIBLE, retry_total=0)
        try:
            async for page in pages.by_page():
                return [(_message(found), found.content) async for found in page]
        except ResourceNotFoundError:
            pass
        return []

    def begin(self, message: _Message, text: str) -> None:
        """Handle a message."""
        self._messages.add(message)
        task = asyncio.ensure_future(self._handle(message, text))
        self.tasks.add(task)
        task.add_done_callback(self._end)

    async def wait_until(self, most: int) -> None:
        """Wait until no more than so many messages are being handled."""
        while len(self.tasks) > most:
            self._ended.clear()
            await self._ended.wait()

    async def prolong_all(self) -> None:
        """Keep what is being handled from becoming visible, until cancelled."""
        from azure.core.exceptions import AzureError

        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_PROLONG_EVERY / 4)
            for message in [one for one in self._messages if loop.time() - one.taken > _PROLONG_EVERY]:
                try:
                    if message in self._messages:  # still
                        await self._set_visibility(message, INVISIBLE)
                except AzureError as error:
                    self._services.console.detail(f"The queue message {message.id} has not been prolonged: {error}")

    async def _handle(self, message: _Message, text: str) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        try:
            failure = await self._run(message, text)
            self._messages.discard(message)
            async with message.lock:
                pass  # it may just be being prolonged, which changes its receipt
            await self._finish(message, text, failure)
        except ResourceNotFoundError:
            self._services.console.detail(f"The queue message {message.id} is somebody else's by now.")
        except AzureError as error:
            self._services.console.error(f"The queue message {message.id} will come again: {error}")
        finally:
            self._messages.discard(message)

    async def _run(self, message: _Message, text: str) -> InvocationError | str | None:
        """Run the function; a text tells why it cannot be run with this message at all."""
        trigger, services = self._trigger, self._services
        try:
            body = trigger.options.encoding.decode(text)
        except ValueError as error:
            return f"cannot be read: {error}"
        if message.dequeue_count > trigger.options.most_dequeues:
            return f"has been taken {message.dequeue_count} times"
        while True:
            failure = await services.run(trigger.event(message, body))
            if not isinstance(failure, WorkerBusy) or services.stopping.is_set():
                return failure
            # It has not run, so that must not count: it waits here instead of going back to the queue.
            await first_of(asyncio.sleep(_LONGEST_BUSY_PAUSE), services.stopping.wait())

    async def _finish(self, message: _Message, text: str, failure: InvocationError | str | None) -> None:
        options = self._trigger.options
        is_hopeless = isinstance(failure, str)
        if failure is None:
            await self._queue.delete_message(message.id, message.pop_receipt)
        elif is_hopeless or (message.dequeue_count >= options.most_dequeues and not isinstance(failure, WorkerBusy)):
            why = failure if is_hopeless else f"has failed {message.dequeue_count} times"
            await self._poison(message, text, str(why))
        else:
            pause = 0 if isinstance(failure, WorkerBusy) else options.visibility_timeout.total_seconds()
            await self._set_visibility(message, pause)

    async def _poison(self, message: _Message, text: str, why: str) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        name = self._trigger.queue + _POISON
        self._services.console.warning(f"A message of {self._trigger.queue} {why}; it is moved to the queue {name}.")
        poison = self._client.get_queue_client(name)
        try:
            await poison.send_message(text, time_to_live=-1)
        except ResourceNotFoundError:
            await poison.create_queue()
            await poison.send_message(text, time_to_live=-1)
        await self._queue.delete_message(message.id, message.pop_receipt)

    async def _set_visibility(self, message: _Message, seconds: float) -> None:
        async with message.lock:
            updated = await self._queue.update_message(
                message.id, pop_receipt=message.pop_receipt, visibility_timeout=int(seconds)
            )
            message.pop_receipt = updated.pop_receipt
            message.taken = asyncio.get_running_loop().time()

    def _end(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        self._ended.set()
        if not task.cancelled() and task.exception() is not None:
            self._services.console.error(f"A message of {self._trigger.queue} will come again: {task.exception()!r}")


def _message(found: Any) -> _Message:
    """A message as the SDK gives it."""
    return _Message(
        found.id,
        found.pop_receipt,
        found.dequeue_count,
        found.inserted_on,
        found.expires_on,
        found.next_visible_on,
    )


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
