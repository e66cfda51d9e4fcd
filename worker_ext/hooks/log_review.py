"""The ``on_log`` hooks: what user code writes passes through them before anybody sees it."""

from __future__ import annotations

from contextvars import ContextVar

from ..function import Function
from ..invocation import Invocation, LogLine, LogRecord
from .hook import Hook
from .registry import Registry

_reviewing: ContextVar[bool] = ContextVar("reviewing", default=False)


class LogReview:
    """Has the ``on_log`` hooks see each line.

    :param registry: the extensions.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._compiled: tuple[int, dict[Function | None, tuple[Hook, ...]]] = -1, {}
        self._failed: set[str] = set()

    def __call__(self, invocation: Invocation | None, record: LogRecord) -> LogRecord | None:
        """What becomes of a line: itself, another in its place, or ``None`` if it is dropped.

        :param invocation: what has written the line, if it belongs to an invocation.
        """
        if _reviewing.get():  # what a hook logs about a line is not for hooks again
            return record
        hooks = self._hooks_for(invocation.function if invocation is not None else None)
        if not hooks:
            return record
        line = LogLine(record, invocation.context if invocation is not None else None)
        reviewing = _reviewing.set(True)
        try:
            for hook in hooks:
                if not self._passes(hook, line):
                    return None
        finally:
            _reviewing.reset(reviewing)
        return LogRecord(int(line.level), str(line.name), str(line.message))

    def _hooks_for(self, function: Function | None) -> tuple[Hook, ...]:
        version, hooks = self._compiled
        if version != self._registry.version:
            self._compiled = _, hooks = self._registry.version, {}
        if function not in hooks:
            hooks[function] = self._registry.log_hooks_for(function)
        return hooks[function]

    def _passes(self, hook: Hook, line: LogLine) -> bool:
        try:
            return hook.call(line) is not False
        except BaseException as error:
            if hook.extension not in self._failed:  # once: it may fail for every line
                self._failed.add(hook.extension)
                fate = "dropped, because the extension is required" if hook.required else "kept as they are"
                hook.logger.error("on_log failed: %r; such lines are %s", error, fate, exc_info=error)
            return not hook.required
