"""The context of a handler, which is that of its hooks too."""

from __future__ import annotations

import re
from typing import Any

from ...context import Context
from .message import Message

_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class EventContext(Context, dict[str, Any]):
    """What a handler is told about its event: the dict of Baetyl's contract.

    It is also the context that hooks get, so that a handler finds here what an extension has set as an attribute.

    :param function: the function's name.
    :param directory: its code folder.
    :param invocation_id: unique for each invocation.
    :param message: the message that the event is made of.
    """

    def __init__(self, function: str, directory: str, invocation_id: str, message: Message) -> None:
        trace_parent = message.trace_parent if _TRACE_PARENT.fullmatch(message.trace_parent) else ""
        super().__init__(function, directory, invocation_id, trace_parent, message.trace_state if trace_parent else "")
        self["messageQOS"] = message.qos
        self["messageTopic"] = message.topic
        self["messageTimestamp"] = message.timestamp
        self["functionName"] = function
        self["functionInvokeID"] = self["invokeid"] = invocation_id

    __repr__ = dict.__repr__
    __hash__ = object.__hash__  # type: ignore[assignment]  # extensions may keep it as a key; no two are equal
