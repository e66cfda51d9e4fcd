"""Which hooks run for a function.

An application-level extension registers when its class is created and applies to every function that it admits; a
function-level one registers when it is made and applies to those that it is attached to.
"""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..function import Function, is_async_callable
from .hook import APP_LEVEL, Hook, counterpart, find, is_ours, misplaced, problem_of, scope_of
from .required import EVERYTHING, Abilities, Refusal, refusals
from .scope import admits, class_of
from .sdk import extensions
from .switches import FLAG, is_on


def extensions_enabled(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether :data:`~worker_ext.hooks.switches.FLAG` is on."""
    return is_on(FLAG, environ)


class HookSet(NamedTuple):
    """The hooks of one function around its invocations, in the order in which they run.

    :ivar before: run before the function.
    :ivar after: run after it has succeeded.
    :ivar around: run around it, the outermost first.
    :ivar failed: run after it has failed.
    """

    before: tuple[Hook, ...] = ()
    after: tuple[Hook, ...] = ()
    around: tuple[Hook, ...] = ()
    failed: tuple[Hook, ...] = ()


class Registry:
    """The extensions of this process, as the functions see them.

    :param enabled: whether there are any to be seen (:func:`extensions_enabled`).
    :param abilities: what the worker can do for them.
    :param elsewhere: the names of the hooks that the worker runs by itself, which are not for this registry to give.
    """

    def __init__(
        self, *, enabled: bool, abilities: Abilities = EVERYTHING, elsewhere: frozenset[str] = frozenset()
    ) -> None:
        self._extensions = extensions()
        self._enabled = enabled
        self._abilities = abilities
        self._elsewhere = elsewhere
        self._refused: set[tuple[str, str, str]] = set()
        self._failed: list[Refusal] = []

    @property
    def version(self) -> int:
        """Another number after each registration: what was asked before must then be asked again."""
        return self._extensions.version

    def hooks_for(self, function: Function) -> HookSet:
        """The hooks that run around an invocation of ``function``.

        Order: application-level before function-level on the way in, function-level before application-level on
        the way out; in registration order within each level, on both ways. If an extension that must not be skipped
        cannot do its work, there is nothing but a layer around the function that never calls it.
        """
        refused = self.refusals()
        if refused:
            return HookSet(around=(refused[0].as_layer(),))
        app, own = self.app_level(function), self.function_level(function)

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
            *self._usable(self.function_level(function), "post_function_load"),
            *self._usable(self.app_level(function), f"post_function_load{APP_LEVEL}"),
        )

    def own_hooks(self, name: str) -> tuple[Hook, ...]:
        """The hooks of one name that belong to the process, such as ``on_startup``: application-level ones first."""
        return tuple(self._usable([*self.app_level(), *self.function_level()], name))

    def log_hooks_for(self, function: Function | None) -> tuple[Hook, ...]:
        """The hooks that see the lines of a function's invocations, or those that belong to no invocation."""
        own = self.function_level(function) if function is not None else []
        return tuple(self._usable([*self.app_level(function), *own], "on_log"))

    def refusals(self) -> list[Refusal]:
        """Why no function may be called: the required extensions that cannot do their work."""
        owners = [*self._extensions.leaves(), *(made.instance for made in self._extensions.functions)]
        return [*refusals(owners, enabled=self._enabled, abilities=self._abilities), *self._failed]

    def refuse(self, extension: str, reason: str, hint: str) -> None:
        """Have no function called any more, because a required extension has turned out not to be able to work."""
        self._failed.append(Refusal(extension, reason, hint))
        self._extensions.changed()

    def limit(self, abilities: Abilities) -> None:
        """Note that the worker has turned out to be able to do no more than this."""
        self._abilities = abilities
        self._extensions.changed()

    def extensions(self) -> list[str]:
        """The names of the extensions whose hooks can run, application-level ones first, each once."""
        classes = [*self.app_level(), *(type(instance) for instance in self.function_level())]
        return list(dict.fromkeys(cls.__name__ for cls in classes))

    def app_level(self, function: Function | None = None) -> list[Any]:
        """The application-level extensions in their order, all or those that apply to a function: classes."""
        return _ordered(self._extensions.leaves(), function) if self._enabled else []

    def function_level(self, function: Function | None = None) -> list[Any]:
        """The function-level extensions in their order, all or those that apply to a function: instances."""
        made = self._extensions.functions if self._enabled else []
        return _ordered([one.instance for one in made if function is None or one.applies_to(function)], function)

    def _usable(self, owners: Iterable[Any], name: str) -> Iterator[Hook]:
        for owner in owners:
            call, extension = find(owner, name), class_of(owner).__name__
            if call is None:  # nobody overrode it: it costs nothing
                if problem := misplaced(owner, other := counterpart(name)):
                    self._tell(extension, other, problem)
                continue
            logger = logging.getLogger(extension)
            problem = _unawaited(call) if name in self._elsewhere else problem_of(name, call)
            if problem is not None:
                self._tell(extension, name, problem)
            elif name not in self._elsewhere:
                required = is_ours(owner) and owner.required
                yield Hook(extension, name, call, logger, is_async_callable(inspect.unwrap(call)), required)

    def _tell(self, extension: str, name: str, problem: str) -> None:
        """Say once why a hook is not run."""
        if (extension, name, problem) not in self._refused:
            self._refused.add((extension, name, problem))
            logging.getLogger(extension).error("%s is not run: %s", name, problem)


def _unawaited(call: Any) -> str | None:
    name = getattr(call, "__qualname__", repr(call))
    return f"{name} is async def, and the worker that runs it does not await it" if is_async_callable(call) else None


def _ordered(owners: list[Any], function: Function | None) -> list[Any]:
    """Those that apply to the function, by priority."""
    admitted = [owner for owner in owners if function is None or admits(scope_of(owner), function)]
    return sorted(admitted, key=lambda owner: -scope_of(owner).priority)
