"""Who may use the admin API and the page: programs and browsers on this machine, and whoever has the master key.

A web site that somebody visits can make their browser send requests to this host, too. Three checks keep it out:

- The **Host** header must name this machine. A site whose own name is made to point to 127.0.0.1 (DNS rebinding) is,
  for the browser, the same origin as this host; but the name is in each request.
- The **Origin** of a request, which a browser adds to each one that can change something, must be this host.
- **Sec-Fetch-Site** (https://www.w3.org/TR/fetch-metadata/), which it adds to each one, must not name another site.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address, ip_address

from ..transports.http1 import Exchange
from .answers import header
from .keys import KeyStore, Level, presented_key

_NAME_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[^:]*)(?::[0-9]*)?", re.IGNORECASE)


class Access:
    """Decides on requests to the host itself.

    :param scheme: ``http`` or ``https``.
    :param address: the address that the host has been told to listen on; a name for this machine too.
    :param keys: the keys, if they are checked (``--enableAuth``).
    """

    def __init__(self, scheme: str, address: str, keys: KeyStore | None) -> None:
        self._scheme = scheme
        self._address = address.lower()
        self._keys = keys

    def refusal(self, exchange: Exchange) -> tuple[int, str] | None:
        """Why a request to the admin API is not served, as status and sentence; ``None`` if it is."""
        if self.is_from_elsewhere(exchange):
            return 403, "This request was sent by another web site."
        if self._keys is None:
            return None if self.is_local(exchange) else (403, "Without --enableAuth this is for this machine only.")
        key = presented_key(exchange)
        if self._keys.level(key) is Level.ADMIN:
            return None
        return 401, "The master key is needed: in the header x-functions-key, or as ?code= in the query."

    def is_local(self, exchange: Exchange) -> bool:
        """Whether a request comes from this machine and is meant for it."""
        return _is_loopback(str((exchange.client or ("",))[0])) and self._names_this_machine(exchange)

    def is_from_elsewhere(self, exchange: Exchange) -> bool:
        """Whether a browser sent it for another site than this host."""
        origin = header(exchange, b"origin")
        own = f"{self._scheme}://{header(exchange, b'host')}"
        if origin and origin.lower() != own.lower():
            return True
        return header(exchange, b"sec-fetch-site") not in ("", "same-origin", "none")

    def _names_this_machine(self, exchange: Exchange) -> bool:
        match = _NAME_AND_PORT.fullmatch(header(exchange, b"host"))
        if match is None:
            return False
        name = match[1].lower().removesuffix(".")
        return name == "localhost" or name.strip("[]") == self._address or _is_loopback(name.strip("[]"))


def _is_loopback(text: str) -> bool:
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback
