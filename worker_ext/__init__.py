"""worker-ext: extensions around every call of a serverless Python function, and the workers that run them.

What an extension's author and an app's author need is here; everything else is inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import bridge
from .context import Context, RetryContext, TraceContext
from .errors import (
    ConfigurationError,
    FunctionTimeout,
    IndexingError,
    InvocationError,
    ProtocolError,
    WorkerBusy,
    WorkerExtError,
    WorkerLost,
)
from .invocation import LogLine

if TYPE_CHECKING:
    from .hooks.base import AppExtensionBase, FuncExtensionBase

__version__ = "0.1.0"

__all__ = [
    "AppExtensionBase",
    "ConfigurationError",
    "Context",
    "FuncExtensionBase",
    "FunctionTimeout",
    "IndexingError",
    "InvocationError",
    "LogLine",
    "ProtocolError",
    "RetryContext",
    "TraceContext",
    "WorkerBusy",
    "WorkerExtError",
    "WorkerLost",
]


def __getattr__(name: str) -> Any:
    """Import the SDK when a name that needs it is asked for: the local host, which is to start fast, never does."""
    if name in ("AppExtensionBase", "FuncExtensionBase"):
        from .hooks import base

        return getattr(base, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


bridge.install()
