"""Tracing what libraries do, with the integration packages of OpenCensus."""

from __future__ import annotations

import importlib
from collections.abc import Iterable

from opencensus.trace import config_integration, integrations


def integrate(libraries: Iterable[str]) -> None:
    """Have calls of these libraries become spans. A library that is traced already is left as it is.

    :param libraries: names such as ``requests``; the one of the package ``opencensus-ext-requests`` without its prefix.
    :raises ImportError: if the integration package of one, or the library itself, is missing; then none is traced.
    """
    wanted = [name for name in dict.fromkeys(libraries) if not _is_traced(name)]
    for name in wanted:
        _import(name)
    for name in wanted:
        if name not in config_integration.trace_integrations([name]):
            raise RuntimeError(f"the integration of {name} failed; the log has the reason")
        _traced.add(name)


_traced: set[str] = set()


def _is_traced(name: str) -> bool:
    # A second integration would wrap the library twice, and make two spans of every call. What the app integrated
    # itself is only in the bit mask of OpenCensus, and what has no bit there only in our own set.
    bit = getattr(integrations._Integrations, name.upper(), 0)
    return name in _traced or bool(bit and integrations.get_integrations() & bit == bit)


def _import(name: str) -> None:
    module = f"opencensus.ext.{name}.trace"
    package = f"opencensus-ext-{name.replace('_', '-')}"
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module.startswith(missing):
            raise ImportError(f"tracing {name} takes the package {package}: pip install {package}") from error
        raise ImportError(f"{package} is installed, but {missing}, which it needs, is not") from error
