"""What authors of apps and of extensions test with: an app in the test's own process, called like the real one.

It needs pytest only for the fixtures, which :mod:`worker_ext.testing.pytest_plugin` adds where both are installed.
"""

from __future__ import annotations

from ..runtimes.azure.trigger_payload import Retry
from .client import AsyncFunctionAppClient, FunctionAppClient
from .clock import Clock
from .result import Headers, InvocationResult, Response

__all__ = [
    "AsyncFunctionAppClient",
    "Clock",
    "FunctionAppClient",
    "Headers",
    "InvocationResult",
    "Response",
    "Retry",
]
