"""The requests that are for the host itself: its admin API and its page."""

from __future__ import annotations

from collections.abc import Callable

from ..transports.http1 import Exchange
from .access import Access
from .admin import Admin
from .app_settings import HostOptions
from .by_hand import ByHand
from .health import HealthApi
from .invoker import Invoker
from .keys import KeyStore
from .page.site import Page
from .status import HostStatus
from .supervisor import Supervisor


def is_admin(path: str) -> bool:
    """Whether a path belongs to the host, which keeps all below ``/admin`` for itself."""
    return path[:6].lower() == "/admin" and path[6:7] in ("", "/")


class Site:
    """Answers what no function answers.

    :param status: what the host is doing.
    :param options: how it has been started.
    :param page: whether the page is served.
    :param keys: the keys of the app.
    :param invoker: runs functions by hand, and is watched by the page.
    :param supervisor: has the workers.
    :param drain: stops the triggers (``True``), or starts them anew.
    """

    def __init__(
        self,
        status: HostStatus,
        options: HostOptions,
        *,
        page: bool,
        keys: KeyStore,
        invoker: Invoker,
        supervisor: Supervisor,
        drain: Callable[[bool], None],
    ) -> None:
        access = Access(options.scheme, options.address, keys if options.enable_auth else None)
        health = HealthApi(status, lambda: supervisor.serving)
        self._admin = Admin(status, access, ByHand(invoker), lambda: supervisor.running, keys, drain, health)
        self._page = None
        if page:
            self._page = Page(status, access, invoker, supervisor, with_keys=options.enable_auth)

    def handle(self, exchange: Exchange) -> bool:
        """Answer a request that is for the host itself; ``False`` if it is not."""
        if self._page is not None and self._page.is_for(exchange):
            self._page.handle(exchange)
        elif is_admin(exchange.path):
            self._admin.handle(exchange)
        else:
            return False
        return True

    def app_changed(self) -> None:
        """Tell the page what is served from now on."""
        if self._page is not None:
            self._page.app_changed()

    def close(self) -> None:
        """Let the browsers go that show the page."""
        if self._page is not None:
            self._page.close()
