"""The embedded hub: a broker in pure Python, for a first try.

It is amqtt's, which forgets what was not acknowledged when a client connects again. Where a message must survive, the
hub is a broker of its own, such as mosquitto (``--hub``).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from functools import partial

from amqtt.adapters import StreamWriterAdapter

from ...errors import ConfigurationError
from ...transports.tls import take_private
from . import hub_greeting, hub_routes, hub_users
from .hub_broker import HubBroker
from .settings_hub import HubCertificate, HubSettings, Listener

FIRST_TRY = "it is for a first try, as it can lose messages: use a broker such as mosquitto for more (--hub)"

_EVERYWHERE = ("0.0.0.0", "::")
_LOOPBACK = "127.0.0.1"
_ENTRANCE = "default"  # amqtt's name for the way in that all our servers share


class EmbeddedHub:
    """A hub in this process.

    :param hub: its settings.
    :param public: whether it listens where they say, and not on loopback alone.
    :param denied: told for people whom it has disconnected, and why.
    :raises ConfigurationError: if its certificate cannot be used.
    :ivar addresses: what it listens on.
    :ivar host: where it can be reached from this machine without TLS.
    :ivar port: the port for that.
    """

    def __init__(self, hub: HubSettings, *, public: bool, denied: Callable[[str], None]) -> None:
        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        self.addresses: Sequence[Listener] = [
            one if public else one._replace(host=_LOOPBACK) for one in dict.fromkeys(hub.listen)
        ]
        self._tls = None if hub.certificate is None else tls(hub.certificate)
        plugins = hub_users.plugins(hub) | hub_routes.plugins(hub.subscriptions)
        entrance = {"type": "external", "bind": "none:0"}  # we listen ourselves: amqtt makes no mutual TLS
        self._broker = HubBroker({"listeners": {_ENTRANCE: entrance}, "plugins": plugins})
        self._denied = denied
        self._servers: list[asyncio.Server] = []
        plain = [one for one in self.addresses if not one.secure]
        # Rules speak to the hub without TLS, inside this machine, even if nobody else may.
        self._inner = None if plain else socket.create_server((_LOOPBACK, 0))
        near: tuple[str, int] = self._inner.getsockname() if self._inner is not None else _nearest(plain)
        self.host, self.port = near

    async def start(self) -> None:
        """Listen.

        :raises ConfigurationError: if that is not possible.
        """
        await self._broker.start()
        for one in self.addresses:
            context = self._tls if one.secure else None
            try:
                self._servers.append(await asyncio.start_server(self._connected, one.host, one.port, ssl=context))
            except OSError as error:
                raise ConfigurationError(
                    f"the embedded hub cannot listen on {one.host}:{one.port}: {error.strerror or error}",
                    hint="Is a broker running there already? Then use it:  func host start --hub tcp://localhost:1883",
                ) from None
        if self._inner is not None:
            self._servers.append(await asyncio.start_server(self._connected, sock=self._inner))

    async def close(self) -> None:
        """Stop."""
        for server in self._servers:
            server.close()
        if self._inner is not None:
            self._inner.close()
        await self._broker.shutdown()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted, problem = await hub_greeting.greet(reader, writer)
        if greeted is None:
            if problem:
                self._denied(problem)
            writer.close()
            return

        def end(reason: str) -> None:
            self._denied(reason)
            writer.close()

        secured = writer.get_extra_info("ssl_object")
        certified = secured is not None and bool(secured.getpeercert())
        hub_users.current.set(hub_users.Connection(certified, end))
        await self._broker.external_connected(greeted, StreamWriterAdapter(writer), _ENTRANCE)


def tls(certificate: HubCertificate) -> ssl.SSLContext:
    """What encrypts a hub's connections. With a ``ca``, clients must have a certificate that it signed.

    :raises ConfigurationError: if a file cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    chain = partial(context.load_cert_chain, certificate.cert, certificate.key, lambda: "")  # never ask a terminal
    steps = [(f"{certificate.cert} and {certificate.key}", chain)]
    if certificate.ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        take_private(context)
        steps.append((str(certificate.ca), partial(context.load_verify_locations, certificate.ca)))
    for files, load in steps:
        try:
            load()
        except OSError as error:  # which those of TLS are as well
            raise ConfigurationError(
                f"the hub's certificate cannot be used: {files}: {error.strerror or error}", file=certificate.where
            ) from None
    return context


def _nearest(listeners: Sequence[Listener]) -> tuple[str, int]:
    """Where the hub can be reached from this machine."""
    near = next((one for one in listeners if one.host in (_LOOPBACK, *_EVERYWHERE)), listeners[0])
    return (_LOOPBACK if near.host in _EVERYWHERE else near.host), near.port
