"""worker-ext: extensions around every call of a serverless Python function, and the workers that run them.

What an extension's author and an app's author need is here; everything else is inside.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import bridge
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
    from .context import Context, RetryContext, TraceContext
    from .hooks.base import AppExtensionBase, FuncExtensionBase, scope
    from .invocation import LogLine

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
    "scope",
]


_HOMES = {
    "AppExtensionBase": "hooks.base",
    "Context": "context",
    "FuncExtensionBase": "hooks.base",
    "LogLine": "invocation",
    "RetryContext": "context",
    "TraceContext": "context",
    "scope": "hooks.base",
}
"""Where the names are that are imported when they are asked for: every command passes this door, and is to be fast."""


def __getattr__(name: str) -> Any:
    """Import what is asked for (called by Python for names that are not here yet)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value


bridge.install()
