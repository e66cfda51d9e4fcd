"""Certificates for tests, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def make_certificates(folder: Path, *names: str) -> None:
    """Make ``NAME.crt`` and ``NAME.key`` for localhost, signed by ``ca.crt``, which is made first."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    _make(folder, "ca")
    for name in names:
        _make(folder, name, "-CA", "ca.crt", "-CAkey", "ca.key")


def _make(folder: Path, name: str, *options: str) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.crt"),
            *("-x509", "-days", "2", "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *options,
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
