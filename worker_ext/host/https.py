"""Certificates for ``--useHttps``: one that is given, or one that the host makes for this machine."""

from __future__ import annotations

import contextlib
import os
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ConfigurationError
from .app_state import AppState

if TYPE_CHECKING:
    from types import ModuleType

    from cryptography.x509 import GeneralName

CERTIFICATE, KEY = "https-certificate.pem", "https-key.pem"
"""The files of the certificate that the host has made, in the app's state folder."""

_VALID = timedelta(days=365)
_RENEWED = timedelta(days=30)  # before it ends
_PFX = (".pfx", ".p12")
_NEEDED = "pip install 'worker-ext[https]'"


def given_certificate(file: Path, password: str) -> ssl.SSLContext:
    """A server's settings for a certificate that somebody has.

    :param file: PEM, with the certificate, those that signed it, and the key; or PFX (PKCS #12), as in Core Tools.
    :param password: what the key is encrypted with, or a file that holds that; empty if it is not.
    :raises ConfigurationError: if the file cannot be used.
    """
    context = _server_context()
    text = _password(password)
    try:
        if file.suffix.lower() in _PFX:
            with _as_pem(file, text) as pem:
                context.load_cert_chain(pem)
        else:
            # Without a function, OpenSSL would ask whoever sits at the terminal.
            context.load_cert_chain(file, password=lambda: text or "")
    except ssl.SSLError as error:
        wrong = f"it holds no certificate with its key, or the password is not right ({error.reason or error})"
        raise ConfigurationError(f"the certificate cannot be used: {wrong}", file=file) from None
    except OSError as error:
        raise ConfigurationError(f"the certificate cannot be read: {error.strerror or error}", file=file) from None
    return context


def own_certificate(state: AppState, address: str) -> tuple[ssl.SSLContext, Path]:
    """A server's settings for a certificate that the host makes itself, and keeps.

    :param state: what is kept of the app; the certificate and its key are files there.
    :param address: what the host listens on, besides the names of every machine for itself.
    :returns: the settings, and the certificate's file, which clients can be told to trust.
    :raises ConfigurationError: if the library is not installed that makes certificates, or the file cannot be written.
    """
    certificate, key = state.folder / CERTIFICATE, state.folder / KEY
    try:
        certificate, key = state.file(CERTIFICATE), state.file(KEY)
        if not _is_good(certificate, key, address):
            _make(certificate, key, address)
    except OSError as error:
        raise ConfigurationError(f"the certificate cannot be kept: {error.strerror}", file=certificate) from None
    context = _server_context()
    context.load_cert_chain(certificate, key)
    return context, certificate


def _server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _password(password: str) -> str:
    """The password itself: Core Tools takes a file that holds it as well."""
    try:
        if password and Path(password).is_file():
            return Path(password).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):  # too long for a file's name, or not to be read: it is the password then
        pass
    return password


@contextlib.contextmanager
def _as_pem(file: Path, password: str) -> Iterator[str]:
    """A PFX file in the one form that Python reads, for as long as it reads it."""
    try:
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, pkcs12
    except ImportError:
        raise ConfigurationError("a PFX certificate needs the package cryptography", hint=_NEEDED) from None
    try:
        key, certificate, others = pkcs12.load_key_and_certificates(file.read_bytes(), password.encode() or None)
    except ValueError as error:
        raise ConfigurationError(
            f"the certificate cannot be used: it is no PFX file, or the password is not right ({error})", file=file
        ) from None
    if key is None or certificate is None:
        raise ConfigurationError("the file holds no certificate with its key", file=file)
    parts = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]
    parts += [each.public_bytes(Encoding.PEM) for each in (certificate, *others)]
    descriptor, name = tempfile.mkstemp(prefix="worker-ext-", suffix=".pem")  # which nobody else may read
    try:
        with open(descriptor, "wb") as stream:
            stream.write(b"".join(parts))
        yield name
    finally:
        Path(name).unlink()


def _is_good(certificate: Path, key: Path, address: str) -> bool:
    """Whether the certificate that there is can still be used."""
    if not certificate.is_file() or not key.is_file():
        return False
    x509 = _x509()
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    lasts = found.not_valid_after_utc - datetime.now(UTC) > _RENEWED
    return lasts and {str(name.value) for name in names} >= _names(address)


def _make(certificate: Path, key: Path, address: str) -> None:
    """Make a key, and a certificate that it has signed itself."""
    x509 = _x509()
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    public = private.public_key()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "worker-ext on this machine")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in sorted(_names(address))]), False)
        # Whoever trusts it trusts this server, and nothing that its key might sign.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file, content in ((key, plain), (certificate, made.public_bytes(pem))):
        file.unlink(missing_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(content)


def _names(address: str) -> set[str]:
    return {"localhost", "127.0.0.1", "::1"} | ({address} - {"0.0.0.0", "::"})


def _general_name(name: str) -> GeneralName:
    x509 = _x509()
    made: GeneralName
    try:
        made = x509.IPAddress(ip_address(name))
    except ValueError:
        made = x509.DNSName(name)
    return made


def _x509() -> ModuleType:
    try:
        from cryptography import x509
    except ImportError:
        raise ConfigurationError(
            "the package that makes certificates, cryptography, is not installed",
            hint=f"{_NEEDED}\nOr give the host a certificate of your own:  --useHttps --cert FILE",
        ) from None
    return x509
