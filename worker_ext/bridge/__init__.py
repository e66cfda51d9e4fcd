"""Hooks inside stock workers: the worker and the runtime libraries that Azure itself runs Python functions with.

From Python 3.13 on these run no extensions. Importing :mod:`worker_ext` inside one of them, as an app's
``function_app.py`` does, makes its functions run with their hooks. Anywhere else nothing happens.
"""

from __future__ import annotations

import sys
from pathlib import Path

STOCK_PACKAGES = ("azure_functions_runtime", "azure_functions_runtime_v1", "azure_functions_worker")
"""The packages that run functions in stock workers: v2 and v1 apps from Python 3.13 on, both up to 3.12."""

_HOST_OPTIONS = {"--functions-worker-id", "--workerId"}
"""What a Functions host starts every worker with, in the newer and the older spelling."""


def install() -> None:
    """Have hooks run in this process, if it is a stock worker's. The local host imports this too: it must cost nothing.

    Called when :mod:`worker_ext` is imported.
    """
    running = next((package for package in STOCK_PACKAGES if package in sys.modules), None)
    if running is not None or _is_unknown_worker():
        from .installation import install_in

        install_in(running)


def _is_unknown_worker() -> bool:
    """Whether a Functions host has started this process, with a worker that is neither a known one nor our own."""
    if _HOST_OPTIONS.isdisjoint(sys.argv) or "azure.functions" not in sys.modules:
        return False
    script = getattr(sys.modules["__main__"], "__file__", None) or ""
    return Path(script).resolve() != Path(__file__).resolve().parents[1] / "boot.py"
