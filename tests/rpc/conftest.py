"""Workers behind a Functions host: what the tests of FunctionRpc share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support.hosting import write_app

from worker_ext.testing.rpc_host import RpcHost

MakeHost = Callable[..., RpcHost]
"""Starts a worker on an app; takes the app's files and what :class:`RpcHost` takes, and loads it unless told not to."""


@pytest.fixture
def make_host(tmp_path: Path) -> Iterator[MakeHost]:
    """Start workers that end with the test."""
    with ExitStack() as stack:

        def make(files: Mapping[str, Any], *, loads: bool = True, **options: Any) -> RpcHost:
            host = stack.enter_context(RpcHost(write_app(tmp_path, files), **options))
            if loads:
                host.start()
            return host

        yield make
