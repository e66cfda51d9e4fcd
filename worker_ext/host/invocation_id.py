"""The ids of invocations."""

from __future__ import annotations

from random import getrandbits


def new_invocation_id() -> str:
    """A random UUID (RFC 9562, version 4). It need not be unguessable, and so need not ask the kernel."""
    digits = f"{getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{'89ab'[getrandbits(2)]}{digits[17:20]}-{digits[20:]}"
