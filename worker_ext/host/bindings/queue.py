"""Queue outputs: what a function writes becomes messages of a storage queue.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue-output
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..setting_values import resolve_settings
from ..storage import Storage, check_installed, connection_string
from ..storage_queues import MessageEncoding, check_queue_name, queue_options
from .base import BindingData, BindingFailed, Scope
from .expressions import Template

MOST_BYTES = 64 * 1024
"""The largest message that a storage queue takes, encoded."""


class QueueOutput:
    """A queue that a function writes to.

    :param binding: the binding's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if a property or a setting is missing or wrong.
    """

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        check_installed("queue")
        self.name = str(binding["name"])
        what = f"the queueName of its output {self.name!r}"
        self._queue = Template(resolve_settings(str(binding.get("queueName") or ""), scope.environ, what), what)
        if self._queue.is_fixed:
            check_queue_name(self._queue.text, what)
        self._connection = connection_string(binding.get("connection"), scope.environ)
        self._encoding = queue_options(scope).encoding

    async def write(self, storage: Storage, data: BindingData, kind: str, value: bytes) -> None:
        """Send a message, or one for each element of a list (see :meth:`OutputBinding.write`).

        A queue that does not exist is made.
        """
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        name = self._queue.fill(data).lower()
        queue = storage.client("queue", self._connection).get_queue_client(name)
        try:
            for message in _messages(kind, value):
                text = _encoded(self._encoding, message)
                try:
                    await queue.send_message(text)
                except ResourceNotFoundError:
                    await queue.create_queue()
                    await queue.send_message(text)
        except AzureError as error:
            raise BindingFailed(f"the queue {name} has not taken a message: {error}") from error


def _messages(kind: str, value: bytes) -> list[bytes]:
    """The messages that a function means by what it wrote."""
    if kind != "json":
        return [value]
    document = json.loads(value)
    return [_message(item) for item in (document if isinstance(document, list) else [document])]


def _message(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, dict) and item.keys() == {"id", "body"}:  # what the SDK makes of its QueueMessage
        return str(item["body"]).encode()
    return json.dumps(item).encode()


def _encoded(encoding: MessageEncoding, message: bytes) -> str:
    try:
        text = encoding.encode(message)
    except UnicodeDecodeError:
        raise BindingFailed('a message is not text; set "messageEncoding" to "base64" in host.json') from None
    if len(text) > MOST_BYTES:
        raise BindingFailed(f"a message has {len(text)} bytes as it is sent; a queue takes {MOST_BYTES}")
    return text
