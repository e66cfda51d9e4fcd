"""Where an MQTT broker is, and how it is reached."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from ..errors import ConfigurationError
from .tls import take_private

_PLAIN = {"tcp", "mqtt"}
_SECURE = {"ssl", "tls", "mqtts"}


@dataclass(frozen=True)
class Broker:
    """An MQTT broker.

    :ivar host: its name or address.
    :ivar port: its port.
    :ivar secure: whether the connection is encrypted.
    :ivar username: who we are to it, ``None`` for nobody.
    :ivar password: what proves that.
    :ivar ca: the file of the certificates that it is trusted by; ``None`` for the system's.
    :ivar certificate: the file of our own certificate, ``None`` for none.
    :ivar key: the file of its key; ``None`` if that is in the certificate's file.
    :ivar modern: whether it may know MQTT 5.
    """

    host: str
    port: int
    secure: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    modern: bool = True

    @classmethod
    def parse(cls, address: str) -> Broker:
        """Read an address such as ``tcp://host:1883`` or ``ssl://host:8883``.

        :raises ValueError: if it is none; the message says what is wrong.
        """
        parts = urlsplit(address if "://" in address else f"tcp://{address}")
        if parts.scheme not in _PLAIN | _SECURE:
            raise ValueError(f"{parts.scheme!r} is no scheme of an MQTT broker; there are tcp and ssl")
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("an address is written as tcp://HOST:PORT or ssl://HOST:PORT")
        secure = parts.scheme in _SECURE
        port = parts.port or (8883 if secure else 1883)
        return cls(parts.hostname, port, secure, username=parts.username, password=parts.password)

    def with_files(self, *, ca: Path | None, certificate: Path | None, key: Path | None) -> Broker:
        """The same broker, reached with these files; what is ``None`` stays as it is."""
        return replace(self, ca=ca or self.ca, certificate=certificate or self.certificate, key=key or self.key)

    def tls(self) -> ssl.SSLContext | None:
        """What encrypts the connection; ``None`` if it is not encrypted.

        :raises ConfigurationError: if a file cannot be used.
        """
        if not self.secure:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca)  # with a file, without the system's
            if self.ca is not None:
                take_private(context)
            if self.certificate is not None:
                context.load_cert_chain(str(self.certificate), str(self.key) if self.key else None)
        except (OSError, ssl.SSLError) as error:
            files = ", ".join(str(file) for file in (self.ca, self.certificate, self.key) if file)
            raise ConfigurationError(f"the connection to {self} cannot be encrypted with {files}: {error}") from None
        return context

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ssl' if self.secure else 'tcp'}://{host}:{self.port}"
