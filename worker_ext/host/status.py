"""What the host is doing, for those who ask it: the admin API and the page."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from .functions import HostedApp, HostedFunction


@dataclass
class HostStatus:
    """The state of the host. Whoever changes something sets it here.

    :ivar script_root: the app's folder.
    :ivar python: the app's interpreter.
    :ivar app: the edition of the app that is served; ``None`` until one has been loaded.
    :ivar problem: why the app as it is in its folder cannot be loaded; empty if it can.
    :ivar stopping: whether the host has been told to stop.
    :ivar draining: whether triggers start no more invocations.
    :ivar base: what the URLs of the host begin with, such as ``http://localhost:7071``.
    :ivar route_prefix: what HTTP routes begin with, without slashes at its ends.
    :ivar started: when the host was started, as ``time.monotonic`` tells it.
    """

    script_root: Path
    python: str
    app: HostedApp | None = None
    problem: str = ""
    stopping: bool = False
    draining: bool = False
    base: str = ""
    route_prefix: str = "api"
    started: float = field(default_factory=time.monotonic)

    @property
    def state(self) -> str:
        """The state, in the words of the Functions host."""
        if self.stopping:
            return "Stopping"
        if self.app is not None:
            return "Running"
        return "Error" if self.problem else "Starting"

    @property
    def id(self) -> str:
        """What tells this app's host from others on this machine."""
        return self.script_root.name.lower()

    def url_of(self, function: HostedFunction) -> str:
        """The URL of a function that requests start, with the template of its route."""
        return "/".join(part for part in (self.base, self.route_prefix, function.route.lstrip("/")) if part)
