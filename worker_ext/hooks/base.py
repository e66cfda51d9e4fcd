"""What extensions are built on: the classic bases of ``azure.functions``, and the hooks that this package adds.

An extension that is built on these keeps its classic hooks on a stock worker, which knows nothing of the others. All
hooks are optional, and any of them but ``on_log`` may be ``async def``. What runs when is said in ``docs/hooks.md``.

The classes are called as those of the SDK because its metaclass takes every other class for an extension.
"""

from __future__ import annotations

from collections.abc import Awaitable
from logging import Logger
from typing import Any, ClassVar, TypeVar

import azure.functions as sdk

from ..invocation import LogLine
from . import sdk as registered
from .scope import SCOPE, Patterns, Scope, check_scope, class_of, target_of

Attached = TypeVar("Attached")

_DATA = "_worker_ext_data"  # the attribute of a context that holds what extensions keep with their invocation


class AppExtensionBase(sdk.AppExtensionBase):
    """An extension for every function of an app; defining a subclass registers it. Its hooks are class methods.

    :cvar required: the app must not serve without this extension: where its ``around_invocation_app_level`` cannot be
        run, the app is not loaded.
    :cvar include: patterns of names of functions (``"Order*"``), one or several; it applies only to these.
    :cvar exclude: patterns of names of functions; it does not apply to these.
    :cvar triggers: patterns of types of triggers (``"httpTrigger"`` or just ``"http"``); it applies only to these.
    :cvar priority: extensions with a higher one come first, and so further outside; equal ones in the order of their
        registration.
    """

    required: ClassVar[bool] = False
    include: ClassVar[Patterns] = "*"
    exclude: ClassVar[Patterns] = ()
    triggers: ClassVar[Patterns] = "*"
    priority: ClassVar[int] = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_scope(cls.__name__, vars(cls))

    @classmethod
    def scope(
        cls,
        *,
        include: Patterns | None = None,
        exclude: Patterns | None = None,
        triggers: Patterns | None = None,
        priority: int | None = None,
    ) -> None:
        """Change what the extension applies to, or when it comes; what is left out stays as it is.

        :param include: see the class.
        :param exclude: see the class.
        :param triggers: see the class.
        :param priority: see the class.
        """
        scope(cls, include=include, exclude=exclude, triggers=triggers, priority=priority)

    @classmethod
    def around_invocation_app_level(cls, *args: Any, **kwargs: Any) -> Any:
        """Run around the function: as a generator, or as a coroutine that is given ``call_next``.

        A generator is called with ``(logger, context, func_args)``. ``result = yield`` runs what is inside it, whose
        exceptions arrive at the ``yield``; another ``yield`` runs it again; to return before is to answer without it.
        A coroutine is called with ``(logger, context, func_args, call_next)``, and ``await call_next()`` runs what is
        inside. What either returns is the result, what it raises is the invocation's error.
        """
        return (yield)

    @classmethod
    def on_invocation_error_app_level(
        cls,
        logger: Logger,
        context: sdk.Context,
        func_args: dict[str, Any],
        error: BaseException,
        *args: Any,
        **kwargs: Any,
    ) -> Awaitable[None] | None:
        """Run instead of the post hooks when the invocation has failed.

        :param error: what the function, or an ``around`` hook, has raised.
        """

    @classmethod
    def on_startup(cls) -> Awaitable[None] | None:
        """Run once for each worker process, when the functions have been loaded and before the first invocation."""

    @classmethod
    def on_shutdown(cls) -> Awaitable[None] | None:
        """Run once for each worker process that is told to end, after its last invocation."""

    @classmethod
    def ready(cls) -> Awaitable[bool | str] | bool | str:
        """Whether the extension can do its work now, for health checks: ``True``, or else why not."""
        return True

    @classmethod
    def on_log(cls, record: LogLine) -> bool | None:
        """See a line that user code has written, before anybody else does. Its attributes can be changed.

        It is called on the thread that wrote the line.

        :returns: ``False`` to drop the line.
        """

    @classmethod
    def data(cls, context: sdk.Context) -> dict[Any, Any]:
        """What this extension keeps for an invocation; gone when that is."""
        return _data(cls, context)

    @classmethod
    def detach(cls) -> None:
        """Take this extension away: its hooks do not run from the next invocation on. Subclasses of it stay."""
        registered.extensions().remove(cls)


class FuncExtensionBase(sdk.FuncExtensionBase):
    """An extension for some functions; making an instance registers it. Its hooks are methods.

    It applies to the functions that it has been attached to: by ``__file__``, by :meth:`attach`, or, where only
    ``include`` or ``triggers`` are given, by these. The class variables are those of :class:`AppExtensionBase`.

    :param file_path: ``__file__``: in the v1 model, of the function; in the v2 model, it stands for every function
        that is defined in that file.
    :param include: patterns of names of functions (``"Order*"``), one or several; it applies only to these.
    :param exclude: patterns of names of functions; it does not apply to these.
    :param triggers: patterns of types of triggers (``"httpTrigger"`` or just ``"http"``); it applies only to these.
    :param priority: see the class.
    """

    required: ClassVar[bool] = False
    include: Patterns = "*"
    exclude: Patterns = ()
    triggers: Patterns = "*"
    priority: int = 0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_scope(cls.__name__, vars(cls))

    def __init__(
        self,
        file_path: str | None = None,
        *,
        include: Patterns | None = None,
        exclude: Patterns | None = None,
        triggers: Patterns | None = None,
        priority: int | None = None,
    ) -> None:
        if file_path is not None:
            super().__init__(file_path)
        else:
            self._trigger_name = ""  # what the SDK files it under: no function is called so
            if include is not None or triggers is not None:
                self.attach("*")
        self.scope(include=include, exclude=exclude, triggers=triggers, priority=priority)

    def scope(
        self,
        *,
        include: Patterns | None = None,
        exclude: Patterns | None = None,
        triggers: Patterns | None = None,
        priority: int | None = None,
    ) -> None:
        """Change what the extension applies to, or when it comes; see :meth:`AppExtensionBase.scope`."""
        scope(self, include=include, exclude=exclude, triggers=triggers, priority=priority)

    def attach(self, to: Attached) -> Attached:
        """Have the extension apply to more functions. It can be used as a decorator.

        :param to: a function, above or below the SDK's decorators; the name of a function, or a pattern of names; or a
            blueprint, with all that is in it at the end.
        :returns: what it was given.
        :raises TypeError: if it was given something else.
        """
        registered.extensions().attach(self, target_of(to))
        return to

    def around_invocation(self, *args: Any, **kwargs: Any) -> Any:
        """Run around the function; see :meth:`AppExtensionBase.around_invocation_app_level`."""
        return (yield)

    def on_invocation_error(
        self,
        logger: Logger,
        context: sdk.Context,
        func_args: dict[str, Any],
        error: BaseException,
        *args: Any,
        **kwargs: Any,
    ) -> Awaitable[None] | None:
        """Run instead of the post hooks when the invocation has failed.

        :param error: what the function, or an ``around`` hook, has raised.
        """

    def on_startup(self) -> Awaitable[None] | None:
        """Run once for each worker process, when the functions have been loaded and before the first invocation."""

    def on_shutdown(self) -> Awaitable[None] | None:
        """Run once for each worker process that is told to end, after its last invocation."""

    def ready(self) -> Awaitable[bool | str] | bool | str:
        """Whether the extension can do its work now, for health checks: ``True``, or else why not."""
        return True

    def on_log(self, record: LogLine) -> bool | None:
        """See a line that one of its functions has written; see :meth:`AppExtensionBase.on_log`."""

    def data(self, context: sdk.Context) -> dict[Any, Any]:
        """What this extension keeps for an invocation; gone when that is."""
        return _data(self, context)

    def detach(self) -> None:
        """Take this extension away: its hooks do not run from the next invocation on."""
        registered.extensions().remove(self)


def scope(
    extension: Any,
    *,
    include: Patterns | None = None,
    exclude: Patterns | None = None,
    triggers: Patterns | None = None,
    priority: int | None = None,
) -> None:
    """Change what an extension applies to, or when it comes, whichever bases it is built on.

    :param extension: a class, or an instance of a function-level one; what is left out stays as it is.
    :param include: see :class:`AppExtensionBase`.
    :param exclude: see :class:`AppExtensionBase`.
    :param triggers: see :class:`AppExtensionBase`.
    :param priority: see :class:`AppExtensionBase`.
    :raises TypeError: if it is no extension, or one of these is no pattern, or no number.
    """
    cls = class_of(extension)
    if not issubclass(cls, sdk.AppExtensionBase | sdk.FuncExtensionBase):
        raise TypeError(f"scope() takes an extension, a class or an instance, not {extension!r}")
    options = {"include": include, "exclude": exclude, "triggers": triggers, "priority": priority}
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    check_scope(cls.__name__, given)
    if issubclass(cls, AppExtensionBase | FuncExtensionBase):
        for name, value in given.items():
            setattr(extension, name, value)
    else:
        setattr(extension, SCOPE, getattr(extension, SCOPE, Scope())._replace(**given))
    registered.extensions().changed()


def _data(owner: Any, context: Any) -> dict[Any, Any]:
    kept: dict[int, dict[Any, Any]] = vars(context).setdefault(_DATA, {})
    return kept.setdefault(id(owner), {})


registered.extensions()  # from now on they are noted, whichever worker this is
