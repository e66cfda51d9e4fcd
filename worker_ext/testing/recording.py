"""An extension that writes down what its hooks are called with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from azure.functions import AppExtensionBase, FuncExtensionBase

from .world import SCRIPT_ROOT


class HookCall(NamedTuple):
    """One call of a hook.

    :ivar hook: the hook's name, as in ``pre_invocation_app_level``.
    :ivar function: the name of the function that it was called for.
    :ivar invocation_id: that of the invocation; empty for hooks that belong to none.
    :ivar arguments: the function's arguments as they were then.
    :ivar result: what the function returned, for post hooks.
    """

    hook: str
    function: str
    invocation_id: str = ""
    arguments: Mapping[str, Any] = {}
    result: Any = None


class RecordingExtension:
    """Records every call of an extension's hooks, for tests of workers, and of the order of extensions::

        recording = RecordingExtension()
        with FunctionAppClient(folder, extensions=[recording]) as client:
            client.get("/api/hello")
        assert recording.hooks == ["post_function_load_app_level", "pre_invocation_app_level", ...]

    What it has recorded stays when the client is closed.

    :param function: the name of the function to be a function-level extension for; application-level if left out.
    :param errors: hook → what that hook raises after it has been recorded.
    :ivar calls: the calls, in order.
    """

    def __init__(self, function: str | None = None, *, errors: Mapping[str, BaseException] | None = None) -> None:
        self.calls: list[HookCall] = []
        self._function = function
        self._errors = dict(errors or {})

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
            # The SDK takes the name of the function from the folder of the file that the extension was made in.
            file = Path(os.environ[SCRIPT_ROOT], self._function, "__init__.py")
            self._define(FuncExtensionBase, "", lambda method: method)(str(file))

    def _define(self, base: Any, suffix: str, bind: Any) -> Any:
        def load(_: Any, function_name: str, function_directory: str, *args: Any, **kwargs: Any) -> None:
            self._record(HookCall(f"post_function_load{suffix}", function_name))

        def pre(_: Any, logger: Any, context: Any, func_args: Any = None, *args: Any, **kwargs: Any) -> None:
            self._record(_call(f"pre_invocation{suffix}", context, func_args))

        def post(
            _: Any, logger: Any, context: Any, func_args: Any = None, func_ret: Any = None, *args: Any, **kwargs: Any
        ) -> None:
            self._record(_call(f"post_invocation{suffix}", context, func_args, func_ret))

        def init(extension: Any, file_path: str) -> None:
            FuncExtensionBase.__init__(extension, file_path)

        hooks = {"post_function_load": load, "pre_invocation": pre, "post_invocation": post}
        body = {f"{name}{suffix}": bind(hook) for name, hook in hooks.items()}
        return type(base)("RecordingExtension", (base,), body if suffix else {"__init__": init, **body})

    def _record(self, call: HookCall) -> None:
        self.calls.append(call)
        if call.hook in self._errors:
            raise self._errors[call.hook]


def _call(hook: str, context: Any, arguments: Any, result: Any = None) -> HookCall:
    return HookCall(hook, context.function_name, context.invocation_id, dict(arguments or {}), result)
