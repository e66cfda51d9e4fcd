"""An issuer of tokens on loopback, and an app that trusts it."""

from __future__ import annotations

import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "api://shop"


@cache
def make_key(kind, number=""):
    """A key; the same one for the same arguments, as making them takes its time."""
    del number
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else ed25519.Ed25519PrivateKey.generate()


class Issuer:
    """Publishes keys, and signs tokens with them.

    :ivar requests: how often it was asked for its keys.
    :ivar published: the key set, as it is published.
    """

    def __init__(self):
        self.private = {"one": make_key("rsa")}
        self.published = {"keys": [self.public("one")]}
        self.requests = 0
        self.status = 200
        self.redirect = ""
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.requests += 1
                body = json.dumps(issuer.published).encode() if self.path == "/keys" else b"{}"
                self.send_response(302 if issuer.redirect else issuer.status)
                if issuer.redirect:
                    self.send_header("Location", issuer.redirect)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01])
        self._thread.start()
        self.name = f"http://127.0.0.1:{self._server.server_port}"
        self.url = f"{self.name}/keys"
        self.configuration = {"issuer": self.name, "audience": AUDIENCE, "jwks_url": self.url}

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def public(self, kid, **members):
        key = self.private[kid].public_key()
        kind = {rsa.RSAPublicKey: RSAAlgorithm, ec.EllipticCurvePublicKey: ECAlgorithm}
        algorithm = next((made for base, made in kind.items() if isinstance(key, base)), OKPAlgorithm)
        return {**json.loads(algorithm.to_jwk(key)), "kid": kid, "use": "sig", **members}

    def add(self, kid, kind="rsa"):
        """Make a key; it is not published yet."""
        self.private[kid] = make_key(kind, kid)

    def token(self, *, kid="one", signed_by=None, algorithm="RS256", header=None, without=(), **claims):
        """A token that is valid for a minute, changed as the test says."""
        now = int(time.time())
        all_claims = {"iss": self.name, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 60, **claims}
        for name in without:
            del all_claims[name]
        key = self.private[signed_by or kid]
        return jwt.encode(all_claims, key, algorithm, headers={"kid": kid, **(header or {})})


@pytest.fixture
def issuer():
    """The issuer."""
    made = Issuer()
    yield made
    made.close()
