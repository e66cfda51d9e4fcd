"""What queue triggers and queue outputs share: ``extensions.queues`` of host.json, names, and messages as text.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#hostjson-settings
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import timedelta

from ..errors import ConfigurationError
from .bindings.base import Scope

_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){2,62}")


class MessageEncoding:
    """How a message's bytes become the text that a queue keeps.

    :param name: ``base64`` or ``none``.
    """

    def __init__(self, name: str) -> None:
        self._is_base64 = name == "base64"

    def encode(self, message: bytes) -> str:
        """The text of a message.

        :raises UnicodeDecodeError: if the bytes are no UTF-8 and are not to be encoded.
        """
        return base64.b64encode(message).decode() if self._is_base64 else message.decode()

    def decode(self, text: str) -> bytes:
        """The bytes of a message.

        :raises ValueError: if it should be base64 and is not.
        """
        if not self._is_base64:
            return text.encode()
        try:
            return base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise ValueError(f'it is no base64 ({error}); set "messageEncoding" to "none" in host.json') from None


@dataclass(frozen=True)
class QueueOptions:
    """``extensions.queues`` of host.json.

    :ivar batch_size: how many messages are taken at a time.
    :ivar new_batch_threshold: the next ones are taken when no more than these are being handled.
    :ivar longest_pause: the longest pause between two looks at an empty queue.
    :ivar visibility_timeout: how long a message stays invisible after its function has failed.
    :ivar most_dequeues: after so many failures a message goes to the poison queue.
    :ivar encoding: how messages are encoded.
    """

    batch_size: int
    new_batch_threshold: int
    longest_pause: timedelta
    visibility_timeout: timedelta
    most_dequeues: int
    encoding: MessageEncoding


def queue_options(scope: Scope) -> QueueOptions:
    """Read the options. The longest pause is 2 s by default, which is Azure's default for development.

    :raises ConfigurationError: if one is wrong.
    """
    group = scope.group("queues")
    batch_size = group["batchSize"].integer(16, minimum=1, maximum=32)
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=group["newBatchThreshold"].integer(batch_size // 2, minimum=0, maximum=1000),
        longest_pause=group["maxPollingInterval"].timespan(timedelta(seconds=2), minimum=timedelta(milliseconds=100)),
        visibility_timeout=group["visibilityTimeout"].timespan(timedelta(0), minimum=timedelta(0)),
        most_dequeues=group["maxDequeueCount"].integer(5, minimum=1),
        encoding=MessageEncoding(group["messageEncoding"].choice("base64", ("base64", "none"))),
    )


def check_queue_name(name: str, what: str) -> None:
    """Check the name of a queue.

    :param what: what it is, for the error.
    :raises ConfigurationError: if no queue can have that name.
    """
    if not _NAME.fullmatch(name.lower()):
        raise ConfigurationError(
            f"{what} is {name!r}", hint="A queue's name has 3 to 63 letters, digits and single hyphens."
        )
