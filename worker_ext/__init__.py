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

if TYPE_CHECKING:
    from azure.functions import AppExtensionBase, FuncExtensionBase

__version__ = "0.1.0"

__all__ = [
    "AppExtensionBase",
    "ConfigurationError",
    "Context",
    "FuncExtensionBase",
    "FunctionTimeout",
    "IndexingError",
    "InvocationError",
    "ProtocolError",
    "RetryContext",
    "TraceContext",
    "WorkerBusy",
    "WorkerExtError",
    "WorkerLost",
]


def __getattr__(name: str) -> Any:
    """Import the SDK when one of its names is asked for: the local host, which is to start fast, never does."""
    if name in ("AppExtensionBase", "FuncExtensionBase"):
        import azure.functions

        return getattr(azure.functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


bridge.install()
