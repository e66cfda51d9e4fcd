"""Where the host listens, and how that address is written for people."""

from __future__ import annotations

import errno
import ssl as tls

from ..errors import ConfigurationError
from ..transports.http1 import HttpServer


async def listen(server: HttpServer, address: str, port: int, ssl: tls.SSLContext | None) -> int:
    """Begin to listen, and return the port.

    :param address: a name or an address; ``localhost`` for both loopback addresses.
    :param port: the port; 0 for any that is free.
    :param ssl: makes it https.
    :raises ConfigurationError: if the address cannot be listened on.
    """
    try:
        if address != "localhost":
            return (await server.start(address, port, ssl=ssl))[0][1]
        bound = (await server.start("127.0.0.1", port, ssl=ssl))[0][1]
        # Browsers may try the other loopback address first. A machine may have none.
        try:
            await server.start("::1", bound, ssl=ssl)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and port:
                raise
        return bound
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {address} is in use by another program",
                hint=f"Stop that program, or choose another port:  func host start --port {port % 65535 + 1}",
            ) from None
        raise ConfigurationError(
            f"cannot listen on {address} port {port}: {error.strerror or error}",
            hint="Choose another --address or --port.",
        ) from None


def shown(address: str) -> str:
    """An address as it is written in a URL for this machine."""
    if address in ("0.0.0.0", "::", "127.0.0.1"):
        return "localhost"
    return f"[{address}]" if ":" in address else address
