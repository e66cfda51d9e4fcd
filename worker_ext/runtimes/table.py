"""Which runtime serves which kind of app: the one place that knows them all, none of which is imported here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .base import Runtime


class Parts(NamedTuple):
    """What a runtime consists of, each as ``module:name``.

    :ivar runtime: its :class:`~worker_ext.runtimes.base.Runtime`.
    :ivar paths: a function of the app's folder that has Python find the app's modules and packages. It comes before
        anything of the app's Python is imported, and so must not import any.
    """

    runtime: str
    paths: str = "worker_ext.runtimes.app_path:make_importable"


RUNTIMES = {
    "azure": Parts("worker_ext.runtimes.azure.runtime:AzureRuntime"),
    "baetyl": Parts(
        "worker_ext.runtimes.baetyl.runtime:BaetylRuntime", "worker_ext.runtimes.baetyl.code_folders:make_importable"
    ),
}
"""Kind of app → its runtime."""


def make_importable(kind: str, script_root: Path) -> None:
    """Have Python find the modules and packages of an app.

    :param kind: a key of :data:`RUNTIMES`.
    :param script_root: the app's folder, absolute.
    """
    _find(RUNTIMES[kind].paths)(script_root)


def make_runtime(kind: str) -> Runtime:
    """Make the runtime of a kind of app.

    :param kind: a key of :data:`RUNTIMES`.
    :raises ImportError: if a package that the runtime needs is missing.
    """
    runtime: Runtime = _find(RUNTIMES[kind].runtime)()
    return runtime


def _find(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)
