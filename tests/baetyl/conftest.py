"""What tests of Baetyl apps share: a broker with the tutorial's user, a host that uses it, clients."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.baetyl import write_baetyl_app
from support.hosting import RunningHost, running_host
from support.mqtt import Connect, Mosquitto, clients

if sys.platform != "linux":  # they look into /proc, and are about a broker that Debian brings
    collect_ignore_glob = ["test_*.py"]

EVERYTHING = ("hahaha", ["readwrite #"])
Hosted = Callable[..., contextlib.AbstractContextManager[RunningHost]]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the tutorial's user, who may do everything, and one who may not publish replies."""
    broker = Mosquitto(
        tmp_path / "broker", {"test": EVERYTHING, "guest": ("guest", ["read py", "read $share/+/py", "write allowed"])}
    )
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def connect(broker: Mosquitto) -> Iterator[Connect]:
    """Makes clients of the broker."""
    with clients(broker.port) as connect:
        yield connect


@pytest.fixture
def hosted(tmp_path: Path, broker: Mosquitto) -> Hosted:
    """Runs an app with the broker; the arguments are those of :func:`write_baetyl_app`."""

    @contextlib.contextmanager
    def hosted(
        *handlers: Any,
        hub: str | None = None,
        options: tuple[str, ...] = (),
        ready: str = "Connected to",
        environ: dict[str, str] | None = None,
        **settings: Any,
    ) -> Iterator[RunningHost]:
        app = write_baetyl_app(tmp_path / "app", *handlers, hub=hub or broker.address, **settings)
        with running_host(app, *options, port=None, ready=ready, environ=environ) as host:
            yield host
            assert host.stop() == 0, host.console
            host.wait_for_nothing_left()

    return hosted
