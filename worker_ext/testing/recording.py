"""An extension that writes down what its hooks are called with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ..hooks.base import AppExtensionBase, FuncExtensionBase


class HookCall(NamedTuple):
    """One call of a hook.

    :ivar hook: the hook's name, as in ``pre_invocation_app_level``.
    :ivar function: the name of the function that it was called for; empty for hooks that belong to none.
    :ivar invocation_id: that of the invocation; empty for hooks that belong to none.
    :ivar arguments: the function's arguments as they were then.
    :ivar result: what the function returned, for post hooks.
    :ivar error: what it raised, for error hooks.
    """

    hook: str
    function: str = ""
    invocation_id: str = ""
    arguments: Mapping[str, Any] = {}
    result: Any = None
    error: BaseException | None = None


class RecordingExtension:
    """Records every call of an extension's hooks, for tests of workers, and of the order of extensions::

        recording = RecordingExtension()
        with FunctionAppClient(folder, extensions=[recording]) as client:
            client.get("/api/hello")
        assert recording.hooks == ["post_function_load_app_level", "on_startup", "pre_invocation_app_level", ...]

    What it has recorded stays when the client is closed.

    :param function: the name of the function to be a function-level extension for; application-level if left out.
    :param errors: hook → what that hook raises after it has been recorded.
    :param logs: whether it also sees every line that is logged (``on_log``).
    :ivar calls: the calls, in order.
    """

    def __init__(
        self, function: str | None = None, *, errors: Mapping[str, BaseException] | None = None, logs: bool = False
    ) -> None:
        self.calls: list[HookCall] = []
        self._function = function
        self._errors = dict(errors or {})
        self._logs = logs

    @property
    def hooks(self) -> list[str]:
        """The names of the hooks that were called, in order."""
        return [call.hook for call in self.calls]

    def clear(self) -> None:
        """Forget what has been recorded."""
        self.calls.clear()

    def __call__(self) -> None:
        """Register the extension in the world of the client that calls this."""
        if self._function is None:
            self._define(AppExtensionBase, "_app_level", classmethod)
        else:
            self._define(FuncExtensionBase, "", lambda hook: hook)().attach(self._function)

    def _define(self, base: Any, suffix: str, bind: Any) -> Any:
        def load(_: Any, function_name: str, function_directory: str, *args: Any, **kwargs: Any) -> None:
            self._record(HookCall(f"post_function_load{suffix}", function_name))

        def pre(_: Any, logger: Any, context: Any, func_args: Any, *args: Any, **kwargs: Any) -> None:
            self._record(_call(f"pre_invocation{suffix}", context, func_args))

        def around(_: Any, logger: Any, context: Any, func_args: Any, *args: Any, **kwargs: Any) -> Any:
            self._record(_call(f"around_invocation{suffix}", context, func_args))
            return (yield)

        def post(_: Any, logger: Any, context: Any, func_args: Any, func_ret: Any, *args: Any, **kwargs: Any) -> None:
            self._record(_call(f"post_invocation{suffix}", context, func_args, result=func_ret))

        def failed(_: Any, logger: Any, context: Any, func_args: Any, error: Any, *args: Any, **kwargs: Any) -> None:
            self._record(_call(f"on_invocation_error{suffix}", context, func_args, error=error))

        def startup(_: Any) -> None:
            self._record(HookCall("on_startup"))

        def shutdown(_: Any) -> None:
            self._record(HookCall("on_shutdown"))

        def log(_: Any, record: Any) -> None:
            self._record(HookCall("on_log", arguments={"record": record}))

        hooks = {
            f"post_function_load{suffix}": load,
            f"pre_invocation{suffix}": pre,
            f"around_invocation{suffix}": around,
            f"post_invocation{suffix}": post,
            f"on_invocation_error{suffix}": failed,
            "on_startup": startup,
            "on_shutdown": shutdown,
            **({"on_log": log} if self._logs else {}),
        }
        body = {name: bind(hook) for name, hook in hooks.items()}
        return type(base)("RecordingExtension", (base,), {"__module__": __name__, **body})

    def _record(self, call: HookCall) -> None:
        self.calls.append(call)
        if call.hook in self._errors:
            raise self._errors[call.hook]


def _call(
    hook: str, context: Any, arguments: Any, *, result: Any = None, error: BaseException | None = None
) -> HookCall:
    return HookCall(hook, context.function_name, context.invocation_id, dict(arguments), result, error)
