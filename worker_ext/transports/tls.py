"""What the encrypted ends of MQTT connections have in common."""

from __future__ import annotations

import ssl


def take_private(context: ssl.SSLContext) -> None:
    """Take what an authority of one's own has signed, although it may not be as RFC 5280 wants public certificates.

    Python demands that from 3.13 on. What the ``openssl`` commands of most brokers' manuals make lacks a key usage, and
    every other client takes it.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
