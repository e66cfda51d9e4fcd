"""What authors of apps and of extensions test with: an app in the test's own process, called like the real one.

:class:`FunctionAppClient` runs an app with its extensions, :class:`RecordingExtension` sees what hooks are called with,
:func:`make_context` is for tests that call a hook directly. The fixtures are in :mod:`worker_ext.pytest_plugin`.
"""

from __future__ import annotations

from ..runtimes.azure.trigger_payload import Retry
from .client import AsyncFunctionAppClient, FunctionAppClient
from .clock import Clock
from .context import make_context
from .recording import HookCall, RecordingExtension
from .result import Headers, InvocationResult, Response

__all__ = [
    "AsyncFunctionAppClient",
    "Clock",
    "FunctionAppClient",
    "Headers",
    "HookCall",
    "InvocationResult",
    "RecordingExtension",
    "Response",
    "Retry",
    "make_context",
]
