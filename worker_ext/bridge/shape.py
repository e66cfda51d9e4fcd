"""What the bridge relies on in a stock runtime, and the errors that say that it is not there."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from ..errors import WorkerExtError


class Inactive(WorkerExtError):
    """Hooks cannot run in this process."""


class UnknownShape(Inactive):
    """A stock runtime is not as this version of worker-ext knows it.

    :param what: what it does not have, or does not do.
    """

    def __init__(self, what: str) -> None:
        super().__init__(
            f"this worker's runtime is not as worker-ext knows it ({what})",
            hint="A newer version of worker-ext may know it:  pip install --upgrade worker-ext",
        )


def module_of(package: str, name: str) -> ModuleType:
    """A module of a stock package, which has imported it already.

    :raises UnknownShape: if it has not.
    """
    try:
        return sys.modules[f"{package}.{name}"]
    except KeyError:
        raise UnknownShape(f"{package} has no module {name}") from None


def part_of(owner: Any, name: str) -> Any:
    """An attribute of a stock module, class or object.

    :raises UnknownShape: if it has none of that name.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        shown = getattr(owner, "__name__", type(owner).__name__)
        raise UnknownShape(f"{shown} has no {name}") from None
