"""The pytest plugin of worker-ext: fixtures for tests of apps and of extensions.

pytest imports it whenever worker-ext is installed: nothing here imports the SDK before a test asks for it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import FunctionAppClient


@pytest.fixture
def function_app_client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FunctionAppClient]]:
    """Opens clients, which are closed when the test ends; takes what ``worker_ext.testing.FunctionAppClient`` takes.

    What the test patches is undone in turn with that, in whichever order it asks for the fixtures.
    """
    from .testing import FunctionAppClient

    with ExitStack() as opened:

        def open_client(app: Any, **options: Any) -> FunctionAppClient:
            opened.enter_context(_patches_apart(monkeypatch))
            client = opened.enter_context(FunctionAppClient(app, **options))
            opened.callback(monkeypatch.undo)
            return client

        yield open_client


@contextmanager
def _patches_apart(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """While the block runs, what has been patched before is not to be undone.

    A client that closes puts the process back to where it was when it opened: with what was patched then, and without
    what has been patched since. Neither may be undone on the wrong side of that.
    """
    before = dict(vars(monkeypatch))
    vars(monkeypatch).update(vars(pytest.MonkeyPatch()))
    try:
        yield
    finally:
        vars(monkeypatch).update(before)


@pytest.fixture
def function_app_folder(tmp_path: Path) -> Callable[[Mapping[str, Any]], Path]:
    """Writes the files of an app and gives its folder.

    Names may have slashes; a text, or bytes, is the content, everything else is written as JSON. ``host.json`` is
    added if it is not among them.
    """

    def write(files: Mapping[str, Any]) -> Path:
        folder = tmp_path / "app"
        for name, content in {"host.json": {"version": "2.0"}, **files}.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if not isinstance(content, (str, bytes)):
                content = json.dumps(content, indent=2)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown() -> None:
    """Forget the extensions that a test has defined within itself: no code that comes later can mean them."""
    observed = sys.modules.get("worker_ext.hooks.sdk")
    if observed is not None:
        observed.extensions().forget_local()
