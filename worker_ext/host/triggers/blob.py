"""Blob triggers: a function runs once for each blob of a container, and again when a blob is replaced.

The container is listed again and again, and what it lists is compared with the receipts of what has been handled.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-blob-trigger
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from ...errors import ConfigurationError, InvocationError, WorkerBusy
from ..bindings.base import BindingFailed, Scope
from ..bindings.blob import MOST_BYTES
from ..bindings.expressions import Pattern, Template
from ..receipts import Receipt, Receipts
from ..setting_values import resolve_settings
from ..storage import Storage, check_installed, connection_string
from .base import TriggerEvent, TriggerServices
from .by_hand import REASON
from .polling import Pause, Trouble, first_of

POISON_QUEUE = "webjobs-blobtrigger-poison"
"""The queue that is told of blobs with which the function has failed too often."""

_LONGEST_PAUSE = 2.0
_LISTING_SHARE = 10
"""A pause is at least so many times as long as the listing before it took."""


class BlobTrigger:
    """Has its function run for each blob whose path matches a pattern.

    :param binding: the trigger's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if a property or a setting is missing or wrong.
    :ivar function: the name of its function.
    :ivar container: the container.
    :ivar pattern: what the names of blobs are compared with.
    :ivar connection: the connection string of the account.
    :ivar most_running: how many blobs are handled at a time.
    :ivar most_failures: after so many failures a blob is not tried again.
    """

    exclusive = True

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        check_installed("blob")
        check_installed("queue")
        self.function = scope.function
        what = "the path of its trigger"
        path = resolve_settings(str(binding.get("path") or ""), scope.environ, what).strip("/")
        self.container, _, name = path.partition("/")
        if not self.container or "{" in self.container:
            raise ConfigurationError(f"{what} is {path!r}", hint='It begins with a container: "samples/{name}"')
        self.pattern = Pattern(Template(name or "{name}", what))
        self.connection = connection_string(binding.get("connection"), scope.environ)
        group = scope.group("blobs")
        self.most_running = group["maxDegreeOfParallelism"].integer(8, minimum=1)
        self.most_failures = group["poisonBlobThreshold"].integer(5, minimum=1)

    async def watch(self, services: TriggerServices) -> None:
        """List the container and have the function run for what is new (see :meth:`Trigger.watch`)."""
        service = services.storage.client("blob", self.connection)
        receipts = Receipts(services.state, self.function, f"{service.primary_endpoint}")
        try:
            await _Watching(self, services, service, receipts).run()
        finally:
            receipts.close()

    async def by_hand(self, storage: Storage, text: str) -> TriggerEvent:
        """The blob whose path ``text`` is."""
        container, _, name = text.strip().strip("/").partition("/")
        values = self.pattern.match(name) if container == self.container else None
        if values is None:
            raise BindingFailed(f"{text.strip()!r} is no path that the trigger matches: {self.container}/...")
        service = storage.client("blob", self.connection)
        event, _ = await self.event(service, name, values, REASON)
        return event

    async def event(
        self, service: Any, name: str, values: Mapping[str, str], reason: str = ""
    ) -> tuple[TriggerEvent, str]:
        """What the function is given, and the ETag of that.

        :raises BindingFailed: if the blob cannot be read.
        """
        from azure.core.exceptions import AzureError

        path = f"{self.container}/{name}"
        blob = service.get_blob_client(self.container, name)
        try:
            download = await blob.download_blob()
            properties = download.properties
            if properties.size > MOST_BYTES:
                raise BindingFailed(f"the blob {path} has {properties.size} bytes; the most is {MOST_BYTES}")
            content = await download.readall()
        except AzureError as error:
            raise BindingFailed(f"the blob {path} cannot be read: {error}") from error
        shown = {
            "ContentLength": properties.size,
            "Length": properties.size,
            "ContentType": properties.content_settings.content_type,
            "ETag": properties.etag,
            "LastModified": properties.last_modified.isoformat(),
            "BlobType": str(properties.blob_type),
        }
        metadata = {
            "BlobTrigger": path,
            "Uri": blob.url,
            "Properties": shown,
            "Metadata": dict(properties.metadata or {}),
        }
        names = {**values, "blobTrigger": path, "uri": blob.url, "metadata": metadata["Metadata"]}
        event = TriggerEvent(
            "bytes",
            content,
            reason or f"New blob detected: {path}",
            metadata=metadata,
            names=names,
            details={"ETag": properties.etag, "Length": properties.size, "LastModified": properties.last_modified},
        )
        return event, str(properties.etag)


class _Watching:
    """The time for which a container is watched."""

    def __init__(self, trigger: BlobTrigger, services: TriggerServices, service: Any, receipts: Receipts) -> None:
        self._trigger = trigger
        self._services = services
        self._service = service
        self._receipts = receipts
        self._known = receipts.all()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(trigger.most_running)

    async def run(self) -> None:
        stopping, pause = self._services.stopping, Pause(_LONGEST_PAUSE)
        trouble = Trouble(self._services.console, f"The container {self._trigger.container}")
        while not stopping.is_set():
            began = time.monotonic()
            found = await trouble.survive(self._look())
            took = time.monotonic() - began
            await pause.after(bool(found), stopping)
            await first_of(asyncio.sleep(took * _LISTING_SHARE), stopping.wait())
        if self._running:
            await asyncio.wait(self._running.values())

    async def _look(self) -> int:
        """Begin with every blob that is new; how many there are."""
        from azure.core.exceptions import ResourceNotFoundError

        there: set[str] = set()
        begun = 0
        container = self._service.get_container_client(self._trigger.container)
        try:
            async for blob in container.list_blobs(retry_total=0):
                there.add(blob.name)
                values = self._trigger.pattern.match(blob.name)
                if values is not None and self._is_new(blob.name, blob.etag):
                    begun += 1
                    task = asyncio.ensure_future(self._handle(blob.name, blob.etag, values))
                    self._running[blob.name] = task
                    task.add_done_callback(partial(self._ended, blob.name))
        except ResourceNotFoundError:
            return 0  # the container does not exist yet
        for path in self._known.keys() - there - self._running.keys():
            del self._known[path]
            self._receipts.forget(path)
        return begun

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        self._running.pop(name, None)
        if not task.cancelled() and task.exception() is not None:
            self._services.console.error(f"The blob {name} will be tried again: {task.exception()!r}")

    def _is_new(self, name: str, etag: str) -> bool:
        receipt = self._known.get(name)
        is_handled = receipt is not None and receipt.is_done and _bare(receipt.etag) == _bare(etag)
        return not is_handled and name not in self._running

    async def _handle(self, name: str, etag: str, values: Mapping[str, str]) -> None:
        async with self._slots:
            if self._services.stopping.is_set():
                return
            failure: InvocationError | None
            try:
                event, etag = await self._trigger.event(self._service, name, values)
                failure = await self._services.run(event)
            except BindingFailed as error:  # there is nothing that the function could be given
                failure = error
                self._services.console.error(f"{self._trigger.function} cannot run: {error}")
            if isinstance(failure, WorkerBusy):
                return  # it has not run
            before = self._known.get(name)
            failures = before.failures if before is not None and _bare(before.etag) == _bare(etag) else 0
            failures += failure is not None
            is_poison = failure is not None and failures >= self._trigger.most_failures
            if is_poison:
                await self._poison(name, etag, failures)
            receipt = Receipt(etag, failures, failure is None or is_poison)
            self._known[name] = receipt
            self._receipts.write(name, receipt)

    async def _poison(self, name: str, etag: str, failures: int) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        trigger, console = self._trigger, self._services.console
        document = {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{trigger.function}",
            "BlobType": "BlockBlob",
            "ContainerName": trigger.container,
            "BlobName": name,
            "ETag": etag,
        }
        console.warning(
            f"{trigger.function} has failed {failures} times with the blob {trigger.container}/{name};"
            f" that is told to the queue {POISON_QUEUE}."
        )
        queue = self._services.storage.client("queue", trigger.connection).get_queue_client(POISON_QUEUE)
        try:
            try:
                await queue.send_message(json.dumps(document), time_to_live=-1)
            except ResourceNotFoundError:
                await queue.create_queue()
                await queue.send_message(json.dumps(document), time_to_live=-1)
        except AzureError as error:
            console.error(f"The queue {POISON_QUEUE} has not taken a message: {error}")


def _bare(etag: str) -> str:
    """An ETag without its quotes: a listing has none, a download does."""
    return etag.strip('"')
