"""Which hooks run for a function.

An application-level extension registers when its class is created and applies to every function; a function-level
one registers when it is instantiated with ``__file__`` and applies to the functions of that name or of that file.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..function import Function, is_async_callable
from .hook import APP_LEVEL, Hook, find, is_ours, problem_of
from .logger import hook_logger
from .required import FLAG, Refusal, refusals
from .sdk import extensions
from .switches import is_on


def extensions_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether :data:`~worker_ext.hooks.required.FLAG` is on."""
    return is_on(FLAG, environ)


class HookSet(NamedTuple):
    """The hooks of one function around its invocations, in the order in which they run.

    :ivar before: run before the function.
    :ivar after: run after it has succeeded.
    :ivar around: run around it, the outermost first.
    :ivar failed: run after it has failed.
    :ivar refusal: why the function must not be called at all.
    """

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    around: tuple[Hook, ...] = ()
    failed: tuple[Hook, ...] = ()
    refusal: Refusal | None = None


class Registry:
    """The extensions of this process, as the functions see them.

    :param enabled: whether there are any to be seen (:func:`extensions_enabled`).
    """

    def __init__(self, *, enabled: bool) -> None:
        self._extensions = extensions()
        self._enabled = enabled
        self._refused: set[str] = set()
        self._failed: list[Refusal] = []

    @property
    def version(self) -> int:
        """Another number after each registration: what was asked before must then be asked again."""
        return self._extensions.version

    def hooks_for(self, function: Function) -> HookSet:
        """The hooks that run around an invocation of ``function``.

        Order: application-level before function-level on the way in, function-level before application-level on
        the way out; in registration order within each level, on both ways.
        """
        refused = self.refusals()
        if refused:
            return HookSet(refusal=refused[0])
        app, own = self._apps(), self._attached(function)

        def of(name: str, *, inwards: bool) -> tuple[Hook, ...]:
            levels = [(app, f"{name}{APP_LEVEL}"), (own, name)]
            return tuple(
                hook for owners, named in levels[:: 1 if inwards else -1] for hook in self._usable(owners, named)
            )

        return HookSet(
            before=of("pre_invocation", inwards=True),
            after=of("post_invocation", inwards=False),
            around=of("around_invocation", inwards=True),
            failed=of("on_invocation_error", inwards=False),
        )

    def load_hooks_for(self, function: Function) -> tuple[Hook, ...]:
        """The hooks that run when ``function`` has been loaded: function-level ones first."""
        return (
            *self._usable(self._attached(function), "post_function_load"),
            *self._usable(self._apps(), f"post_function_load{APP_LEVEL}"),
        )

    def own_hooks(self, name: str) -> tuple[Hook, ...]:
        """The hooks of one name that belong to the process, such as ``on_startup``: application-level ones first."""
        return tuple(self._usable([*self._apps(), *self._instances()], name))

    def log_hooks_for(self, function: Function | None) -> tuple[Hook, ...]:
        """The hooks that see the lines of a function's invocations, or those that belong to no invocation."""
        own = self._attached(function) if function is not None else []
        return tuple(self._usable([*self._apps(), *own], "on_log"))

    def refusals(self) -> list[Refusal]:
        """Why no function may be called: the required extensions that cannot do their work."""
        owners = [*self._extensions.leaves(), *(made.instance for made in self._extensions.functions)]
        return [*refusals(owners, enabled=self._enabled), *self._failed]

    def refuse(self, extension: str, reason: str, hint: str) -> None:
        """Have no function called any more, because a required extension has turned out not to be able to work."""
        self._failed.append(Refusal(extension, reason, hint))
        self._extensions.changed()

    def extensions(self) -> list[str]:
        """The names of the extensions whose hooks can run, application-level ones first, each once."""
        classes = [*self._apps(), *(type(instance) for instance in self._instances())]
        return list(dict.fromkeys(cls.__name__ for cls in classes))

    def _apps(self) -> list[Any]:
        return _by_priority(self._extensions.leaves()) if self._enabled else []

    def _instances(self) -> list[Any]:
        return _by_priority(made.instance for made in self._extensions.functions) if self._enabled else []

    def _attached(self, function: Function) -> list[Any]:
        lowered = function.name.lower()
        applying = {
            id(instance)
            for instance, name, file in self._extensions.functions
            if name == lowered or (file and file == function.file)
        }
        return [instance for instance in self._instances() if id(instance) in applying]

    def _usable(self, owners: Iterable[Any], name: str) -> Iterator[Hook]:
        for owner in owners:
            call = find(owner, name)
            if call is None:
                continue  # nobody overrode it: it costs nothing
            extension = owner.__name__ if isinstance(owner, type) else type(owner).__name__
            logger = hook_logger(extension)
            problem = problem_of(name, call)
            if problem is None:
                required = is_ours(owner) and owner.required
                yield Hook(extension, name, call, logger, is_async_callable(inspect.unwrap(call)), required)
            elif problem not in self._refused:
                self._refused.add(problem)
                logger.error("%s is not run: %s", name, problem)


def _by_priority(owners: Iterable[Any]) -> list[Any]:
    return sorted(owners, key=lambda owner: -owner.priority if is_ours(owner) else 0)
