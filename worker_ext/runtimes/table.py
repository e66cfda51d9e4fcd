"""Which runtime serves which kind of app: the one place that knows them all, none of which is imported here."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .base import Runtime

RUNTIMES = {
    "azure": "worker_ext.runtimes.azure.runtime:AzureRuntime",
}
"""Kind of app → module and class of its runtime."""


def make_runtime(kind: str) -> Runtime:
    """Make the runtime of a kind of app.

    :param kind: a key of :data:`RUNTIMES`.
    :raises ImportError: if a package that the runtime needs is missing.
    """
    module, _, name = RUNTIMES[kind].partition(":")
    runtime: Runtime = getattr(import_module(module), name)()
    return runtime
