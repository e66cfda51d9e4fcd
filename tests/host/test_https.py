"""HTTPS with a certificate that somebody has, and with one that the host makes itself."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs12
from support.hosting import DEADLINE, RunningHost, host_environ, running_host, start_fails, write_app

from worker_ext.errors import ConfigurationError
from worker_ext.host.app_state import AppState
from worker_ext.host.https import given_certificate, own_certificate
from worker_ext.host.state import state_folder

APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

@app.route(route="url")
def Url(req):
    return req.url
"""
PASSWORD = "not for the console"


def get(host: RunningHost, path: str, trusted: Path) -> tuple[int, str]:
    """Ask over https, trusting this certificate only; the name in it is checked."""
    context = ssl.create_default_context(cafile=str(trusted))
    connection = http.client.HTTPSConnection("localhost", host.port, context=context, timeout=DEADLINE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def make_certificate() -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made, key


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one certificate in each form that the host takes."""
    folder = tmp_path_factory.mktemp("certificates")
    certificate, key = make_certificate()
    secret = serialization.BestAvailableEncryption(PASSWORD.encode())
    pem = serialization.Encoding.PEM
    public = certificate.public_bytes(pem)
    for name, encryption in (("plain", serialization.NoEncryption()), ("encrypted", secret)):
        private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, encryption)
        (folder / f"{name}.pem").write_bytes(private + public)
        (folder / f"{name}.pfx").write_bytes(
            pkcs12.serialize_key_and_certificates(b"localhost", key, certificate, None, encryption)
        )
    (folder / "public.pem").write_bytes(public)
    (folder / "password.txt").write_text(f"{PASSWORD}\n")
    (folder / "nonsense.pem").write_text("nonsense")
    (folder / "nonsense.pfx").write_text("nonsense")
    return folder


@pytest.fixture
def app(tmp_path: Path) -> Path:
    return write_app(tmp_path, {"function_app.py": APP})


class TestAGivenCertificate:
    """``--useHttps --cert FILE --password TEXT``."""

    @pytest.mark.parametrize(
        ("file", "password"),
        [
            ("plain.pem", None),
            ("encrypted.pem", PASSWORD),
            ("plain.pfx", None),
            ("encrypted.pfx", PASSWORD),
            ("encrypted.pfx", "password.txt"),
        ],
    )
    def test_is_served(self, app: Path, files: Path, file: str, password: str | None) -> None:
        given = str(files / password) if password == "password.txt" else password
        options = ["--password", given] if given else []
        with running_host(app, "--useHttps", "--cert", str(files / file), *options) as host:
            assert get(host, "/api/url", files / "public.pem") == (200, f"https://localhost:{host.port}/api/url")
            assert f"https://localhost:{host.port}/api/url" in host.console
            assert PASSWORD not in host.console

    @pytest.mark.parametrize(
        ("file", "password", "reason"),
        [
            ("encrypted.pem", "", "the password is not right"),
            ("encrypted.pem", "wrong", "the password is not right"),
            ("encrypted.pfx", "wrong", "the password is not right"),
            ("public.pem", "", "no certificate with its key"),
            ("nonsense.pem", "", "no certificate with its key"),
            ("nonsense.pfx", "", "no PFX file"),
            ("nothing.pem", "", "No such file"),
            ("nothing.pfx", "", "No such file"),
        ],
    )
    def test_that_cannot_be_used(self, app: Path, files: Path, file: str, password: str, reason: str) -> None:
        options = ["--password", password] if password else []
        told = start_fails(app, "--useHttps", "--cert", str(files / file), *options)
        assert told.startswith(f"{files / file}: ")
        assert reason in told
        assert "Traceback" not in told


class TestACertificateOfItsOwn:
    """``--useHttps`` alone."""

    def test_can_be_trusted_and_is_kept(self, app: Path) -> None:
        certificate = state_folder(app, host_environ()) / "https-certificate.pem"
        serial = None
        for _ in range(2):
            with running_host(app, "--useHttps") as host:
                assert get(host, "/api/url", certificate)[0] == 200
                status, text = get(host, "/admin/host/status", certificate)
                assert (status, json.loads(text)["state"]) == (200, "Running")
            found = x509.load_pem_x509_certificate(certificate.read_bytes()).serial_number
            assert serial in (None, found)
            serial = found

    @pytest.mark.skipif(os.name == "nt", reason="there, the folder of the user's own data is nobody else's already")
    def test_nobody_else_may_read_its_key(self, tmp_path: Path) -> None:
        own_certificate(AppState(tmp_path), "localhost")
        assert (tmp_path / "https-key.pem").stat().st_mode & 0o777 == 0o600

    def test_is_made_anew_for_another_address_and_when_it_is_damaged(self, tmp_path: Path) -> None:
        def serial() -> int:
            return x509.load_pem_x509_certificate(file.read_bytes()).serial_number

        _, file = own_certificate(AppState(tmp_path), "localhost")
        first = serial()
        own_certificate(AppState(tmp_path), "127.0.0.1")
        assert serial() == first
        own_certificate(AppState(tmp_path), "192.0.2.7")
        second = serial()
        file.write_text("nonsense")
        own_certificate(AppState(tmp_path), "localhost")
        assert len({first, second, serial()}) == 3


@pytest.mark.parametrize(
    "make",
    [
        lambda app: own_certificate(AppState(app / "state"), "localhost"),
        lambda app: given_certificate(app / "own.pfx", ""),
    ],
    ids=["own", "pfx"],
)
def test_without_the_package_that_makes_certificates(
    app: Path, make: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    (app / "own.pfx").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "cryptography", None)
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.serialization", None)
    with pytest.raises(ConfigurationError, match=r"cryptography[^$]*pip install 'worker-ext\[https\]'"):
        make(app)


def test_plain_http_to_an_https_host_gets_no_answer_and_does_no_harm(app: Path) -> None:
    with running_host(app, "--useHttps") as host:
        with host.connect() as connection:
            connection.sendall(b"GET /api/url HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert not connection.recv(100).startswith(b"HTTP/")
        assert get(host, "/api/url", state_folder(app, host_environ()) / "https-certificate.pem")[0] == 200
