"""What tests of hooks and of the worker share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from support.invoking import DEADLINE, LocalWorker, Trace

from worker_ext.hooks import sdk
from worker_ext.worker import logs


@pytest.fixture
def extensions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[sdk.Extensions]:
    """The extensions of this process: none yet, and those that register now are forgotten after the test."""
    monkeypatch.setenv("AzureWebJobsScriptRoot", str(tmp_path))
    own = sdk.Extensions()
    before = sdk.switch(own)
    yield own
    sdk.switch(before)


@pytest.fixture
def trace(extensions: sdk.Extensions) -> Trace:
    """What ran, in order; nothing yet."""
    return Trace()


@pytest.fixture
def make_worker(extensions: sdk.Extensions, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalWorker]]:
    """Makes a worker in this process, which sends no lines ahead of an answer only because the machine was busy."""
    monkeypatch.setattr(logs, "PATIENCE", DEADLINE)
    with asyncio.Runner() as runner:
        yield partial(LocalWorker, runner)


@pytest.fixture
def worker(make_worker: Callable[..., LocalWorker]) -> LocalWorker:
    """A worker whose extensions are on."""
    return make_worker()
