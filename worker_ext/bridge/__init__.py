"""Hooks inside stock workers: the worker and the runtime libraries that Azure itself runs Python functions with.

From Python 3.13 on these run no extensions. Importing :mod:`worker_ext` inside one of them, as an app's
``function_app.py`` does, makes its functions run with their hooks. Anywhere else nothing happens.
"""

from __future__ import annotations

import sys

STOCK_PACKAGES = ("azure_functions_runtime", "azure_functions_runtime_v1", "azure_functions_worker")
"""The packages that run functions in stock workers: v2 and v1 apps from Python 3.13 on, both up to 3.12."""


def install() -> None:
    """Have hooks run in this process, if it is a stock worker's. The local host imports this too, so it costs nothing."""
    running = [package for package in STOCK_PACKAGES if package in sys.modules]
    if running:
        from .seams import install_in

        install_in(running)
