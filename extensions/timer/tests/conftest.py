"""The extension as a worker sees it: through the registry of azure-functions."""

from __future__ import annotations

import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from azure.functions import ExtensionMeta

ROOT = Path(__file__).resolve().parents[1]
MODULE = "python_worker_extension_timer"


class Worker:
    """Runs a function with the registered app-level hooks around it, in the order of the stock worker."""

    def __init__(self) -> None:
        self.extension = importlib.import_module(MODULE).TimerExtension
        self.logger = logging.getLogger("timer tests")
        self.logger.setLevel(logging.INFO)

    def invoke(self, function, *, name="HttpTrigger", context=None):
        context = context or SimpleNamespace(function_name=name, invocation_id="1")
        hooks = ExtensionMeta.get_application_hooks()
        for hook in hooks.pre_invocation_app_level:
            hook.ext_impl(self.logger, context, {})
        result = function()
        for hook in hooks.post_invocation_app_level:
            hook.ext_impl(self.logger, context, {}, result)
        return result


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    """A worker that has just imported the extension, which no other test has imported or configured."""
    # azure-functions keeps its registry in class attributes and offers no way to begin anew.
    monkeypatch.setattr(ExtensionMeta, "_app_exts", None)
    monkeypatch.setattr(ExtensionMeta, "_info", {})
    monkeypatch.syspath_prepend(str(ROOT))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    yield Worker()
    sys.modules.pop(MODULE, None)
