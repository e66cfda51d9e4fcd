"""Where the packages come from that the worker itself needs: from the app, if it brings them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

_NEEDED = {
    "h2": "",
    "hpack": "",
    "hyperframe": "",
    "google": "",
    "google.protobuf": "google",
    "google._upb": "google",
}
"""What the worker imports besides the app's own packages → its folder, seen from where worker-ext is installed."""


class _LastResort:
    """Finds the needed packages, and nothing else, beside ``worker_ext``.

    :param folder: the folder that ``worker_ext`` is installed in.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module (called by the import system when nobody else has found it)."""
        below = _NEEDED.get(fullname)
        if below is None:
            return None
        return PathFinder.find_spec(fullname, [str(self._folder / below)], target)


def make_available() -> None:
    """Have the needed packages found, where the app's Python has none, in the place that worker-ext is installed in.

    They are of pure Python, or of an interface that all versions have in common, so that Python need not be the one
    that worker-ext was installed for. All other packages of that place stay hidden.
    """
    sys.meta_path.append(_LastResort(Path(__file__).resolve().parents[4]))
