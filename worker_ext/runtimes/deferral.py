"""Importing one part of a package without what the rest of it would cost.

``azure.functions`` needs the dictionaries of werkzeug. But to import any part of a package Python first runs its
``__init__``, and werkzeug's brings in a development server, a test client, and TLS for both: more than half of the time
that the whole of ``azure.functions`` takes, on every cold start.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec, module_from_spec
from threading import RLock
from types import ModuleType
from typing import Any

_lock = RLock()


def defer(package: str) -> None:
    """Run a package's ``__init__`` only when somebody asks for a name that it defines. Its parts can be imported.

    Nothing happens if the package has been imported already, or is not installed.

    :param package: the name of a top-level package.
    """
    if package in sys.modules:
        return
    with suppress(ImportError, ValueError):  # what is broken is told to whoever really imports it
        spec = find_spec(package)
        if spec is not None and spec.loader is not None and spec.submodule_search_locations:
            module = module_from_spec(spec)
            setattr(module, "__class__", _Deferred)  # noqa: B010 - type checkers allow no other type
            sys.modules[package] = module


class _Deferred(ModuleType):
    """A package whose ``__init__`` has not run yet."""

    def __getattr__(self, name: str) -> Any:
        """Called for what is not there: a part that has not been imported, or a name that ``__init__`` defines."""
        if not name.startswith("_") and find_spec(f"{self.__name__}.{name}") is not None:
            return import_module(f"{self.__name__}.{name}")
        with _lock:
            if type(self) is _Deferred:
                setattr(self, "__class__", ModuleType)  # noqa: B010 - first, as __init__ may ask for names of its own
                spec = self.__spec__
                assert spec is not None
                assert spec.loader is not None
                spec.loader.exec_module(self)
        return getattr(self, name)
