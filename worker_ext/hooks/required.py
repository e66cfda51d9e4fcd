"""Extensions that must not be skipped: where one cannot do its work, the app does not serve."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable
from typing import Any, NamedTuple

from ..errors import IndexingError
from ..function import is_async_callable
from .hook import APP_LEVEL, ARGUMENTS, CLASSIC, Hook, find, is_ours, problem_of
from .switches import FLAG


class Abilities(NamedTuple):
    """What a worker can do for extensions.

    :ivar hooks: the names of the hooks that it runs.
    :ivar awaits: whether it awaits classic hooks that are ``async def``.
    :ivar because: why it runs no other hooks, unless that goes without saying.
    :ivar hint: what to do about it.
    """

    hooks: frozenset[str] = frozenset(ARGUMENTS)
    awaits: bool = True
    because: str = ""
    hint: str = "Run the app on the worker of worker-ext, or have its bridge run the hooks on this one."


EVERYTHING = Abilities()
"""What the workers of this package can do."""

STOCK = Abilities(CLASSIC, awaits=False)
"""What the stock worker for Python up to 3.12 can do; later ones run no hooks at all."""


class Refusal(NamedTuple):
    """Why an app cannot be served.

    :ivar extension: the required extension.
    :ivar reason: why it cannot do its work.
    :ivar hint: what to do.
    """

    extension: str
    reason: str
    hint: str

    def error(self) -> IndexingError:
        """The refusal as the error that the app is not loaded for."""
        return IndexingError(
            f"the extension {self.extension} is required, but {self.reason}; the app does not run without it",
            hint=self.hint,
        )

    def as_layer(self) -> Hook:
        """An ``around`` hook that lets no invocation pass."""

        def refuse(*_arguments: Any) -> Generator[None, Any, None]:
            raise self.error()
            yield

        return Hook(self.extension, "around_invocation", refuse, logging.getLogger(self.extension))


def refusals(owners: Iterable[Any], *, enabled: bool, abilities: Abilities = EVERYTHING) -> list[Refusal]:
    """Which required extensions cannot do their work here, and why.

    :param owners: the extensions: classes of application-level ones, instances of the others.
    :param enabled: whether :data:`FLAG` is on.
    :param abilities: what the worker can do.
    """
    required = [owner for owner in owners if is_ours(owner) and owner.required]
    found = ((owner, _refusal(owner, enabled, abilities)) for owner in required)
    return [Refusal(_name(owner), *why) for owner, why in found if why is not None]


def _refusal(owner: Any, enabled: bool, abilities: Abilities) -> tuple[str, str] | None:
    around = "around_invocation" + (APP_LEVEL if isinstance(owner, type) else "")
    if not enabled:
        return f"the setting {FLAG} is off", f"Set {FLAG} to 1, or take the extension out of the app."
    if find(owner, around) is None:
        return f"it has no {around}, which alone can keep a function from being called", f"Give it an {around}."
    if around not in abilities.hooks:
        return f"this worker does not run {around}{abilities.because and ': '}{abilities.because}", abilities.hint
    for name in ARGUMENTS:
        call = find(owner, name)
        problem = problem_of(name, call) if call is not None else None
        if problem is not None:
            return f"its {name} cannot be run: {problem}", "Correct the hook."
        if not abilities.awaits and name in CLASSIC and is_async_callable(call):
            return f"its {name} is async def, which this worker would never await", "Make the hook a plain function."
    return None


def _name(owner: Any) -> str:
    return owner.__name__ if isinstance(owner, type) else type(owner).__name__
