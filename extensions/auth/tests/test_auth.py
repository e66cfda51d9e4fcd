"""Who is let in, and who is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import time
from functools import partial

import azure.functions as func
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from python_worker_extension_auth import AuthExtension

from worker_ext import IndexingError
from worker_ext.testing import FunctionAppClient

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
calls = []


@app.route("sync")
def sync(req: func.HttpRequest, context: func.Context) -> str:
    calls.append("sync")
    return AuthExtension.claims(context)["sub"]


@app.route("async")
async def run_async(req: func.HttpRequest, context: func.Context) -> str:
    calls.append("async")
    return AuthExtension.claims(context)["sub"]


@app.route("health")
def health(req: func.HttpRequest) -> str:
    return "well"


@app.timer_trigger("timer", schedule="0 0 * * * *")
def Tick(timer: func.TimerRequest) -> None:
    calls.append("Tick")


@pytest.fixture
def open_client(issuer):
    """Opens a client of the app, configured for the issuer and as the test says."""
    opened = []

    def run(**options):
        configure = partial(AuthExtension.configure, **{**issuer.configuration, **options})
        client = FunctionAppClient(app, extensions=[AuthExtension, configure])
        opened.append(client.__enter__())
        calls.clear()
        return client

    yield run
    for client in opened:
        client.close()


@pytest.fixture
def client(open_client):
    return open_client()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def unsigned(header, claims):
    parts = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (header, claims))
    return ".".join(parts) + "."


@pytest.mark.parametrize("path", ["sync", "async"])
class TestLetIn:
    def test_with_a_valid_token(self, client, issuer, path):
        response = client.get(f"/api/{path}", headers=bearer(issuer.token()))
        assert (response.status_code, response.text) == (200, "ada")

    def test_the_scheme_in_any_case(self, client, issuer, path):
        assert client.get(f"/api/{path}", headers={"authorization": f"bearer  {issuer.token()}"}).status_code == 200

    def test_within_the_leeway_of_clocks(self, client, issuer, path):
        token = issuer.token(exp=int(time.time()) - 10)
        assert client.get(f"/api/{path}", headers=bearer(token)).status_code == 200

    @pytest.mark.parametrize(("kind", "algorithm"), [("ec", "ES256"), ("ed", "EdDSA"), ("rsa", "PS512")])
    def test_with_the_signatures_that_are_configured(self, open_client, issuer, path, kind, algorithm):
        issuer.add("two", kind)
        issuer.published["keys"].append(issuer.public("two"))
        client = open_client(algorithms=[algorithm])
        token = issuer.token(kid="two", algorithm=algorithm)
        assert client.get(f"/api/{path}", headers=bearer(token)).status_code == 200
        assert client.get(f"/api/{path}", headers=bearer(issuer.token())).status_code == 401


class TestRefused:
    @pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "Token x"])
    def test_without_a_token(self, client, header):
        response = client.get("/api/sync", headers={} if header is None else {"Authorization": header})
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["cache-control"] == "no-store"
        assert response.json() == {"title": "Unauthorized", "status": 401}
        assert calls == []

    @pytest.mark.parametrize(
        ("reason", "changes"),
        [
            ("expired", {"exp": 1}),
            ("not yet", {"nbf": 4102444800}),
            ("another issuer", {"iss": "https://evil.example"}),
            ("a longer issuer", {"iss": "http://127.0.0.1:1"}),
            ("another audience", {"aud": "api://other"}),
            ("other audiences", {"aud": ["api://other", "api://shop2"]}),
            ("no expiry", {"without": ["exp"]}),
            ("no audience", {"without": ["aud"]}),
            ("no issuer", {"without": ["iss"]}),
            ("an expiry that is none", {"exp": "never"}),
            ("another algorithm of the same key", {"algorithm": "RS512"}),
            ("a key that nobody knows", {"header": {"kid": "nobody"}}),
        ],
    )
    def test_with_a_token_that_is_not_valid(self, client, issuer, reason, changes):
        del reason
        response = client.get("/api/sync", headers=bearer(issuer.token(**changes)))
        assert response.status_code == 401
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert calls == []

    def test_signed_with_another_key(self, client, issuer):
        issuer.add("two")
        assert client.get("/api/sync", headers=bearer(issuer.token(signed_by="two"))).status_code == 401

    def test_with_a_key_id_that_is_none(self, client, issuer):
        token = unsigned({"alg": "RS256", "kid": ["one"]}, {"iss": issuer.name}) + "c2lnbmF0dXJl"
        assert client.get("/api/sync", headers=bearer(token)).status_code == 401

    def test_not_signed(self, client, issuer):
        now = int(time.time())
        claims = {"iss": issuer.name, "aud": "api://shop", "exp": now + 60, "sub": "eve"}
        for alg in ("none", "None", "NONE", "", None):
            token = unsigned({"alg": alg, "kid": "one", "typ": "JWT"}, claims)
            assert client.get("/api/sync", headers=bearer(token)).status_code == 401

    def test_signed_with_the_public_key_as_if_it_were_a_secret(self, client, issuer):
        public = issuer.private["one"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = {"iss": issuer.name, "aud": "api://shop", "exp": int(time.time()) + 60, "sub": "eve"}
        signed = unsigned({"alg": "HS256", "kid": "one"}, claims).rstrip(".")
        mac = hmac.new(public, signed.encode(), hashlib.sha256).digest()
        token = f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"
        assert client.get("/api/sync", headers=bearer(token)).status_code == 401

    def test_with_a_key_that_is_for_something_else(self, client, issuer):
        issuer.published["keys"] = [issuer.public("one", use="enc")]
        assert client.get("/api/sync", headers=bearer(issuer.token())).status_code == 401

    def test_with_two_tokens(self, client, issuer):
        token = issuer.token()
        headers = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {token}")]
        assert client.get("/api/sync", headers=headers).status_code == 401

    def test_with_a_token_that_is_too_long(self, client, issuer):
        assert client.get("/api/sync", headers=bearer(issuer.token(padding="x" * 20000))).status_code == 401

    def test_with_anything_else(self, client, issuer):
        valid = issuer.token()

        @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(
            st.text(max_size=200)
            | st.integers(0, len(valid) - 2).map(lambda at: f"Bearer {valid[:at]}{valid[at + 1 :]}")
        )
        def check(header):
            response = client.get("/api/sync", headers={"Authorization": header})
            assert response.status_code == 401

        check()
        assert calls == []

    def test_the_log_says_why_and_holds_no_token(self, client, issuer, caplog):
        token = issuer.token(exp=1)
        with caplog.at_level(logging.DEBUG):
            response = client.get("/api/sync", headers=bearer(token))
        assert any(
            "sync is not called: its token is not valid: Signature has expired" in line for line in response.messages
        )
        assert not [line for line in caplog.messages if token.rpartition(".")[2] in line]
        assert "expired" not in response.text

    def test_while_the_keys_cannot_be_had(self, client, issuer):
        issuer.status = 500
        response = client.get("/api/sync", headers=bearer(issuer.token()))
        assert (response.status_code, response.json()["title"]) == (503, "Service Unavailable")
        assert calls == []


class TestScopes:
    @pytest.mark.parametrize("granted", [{"scope": "read write"}, {"scp": "write read"}, {"scp": ["read", "write"]}])
    def test_that_are_there(self, open_client, issuer, granted):
        client = open_client(scopes=["read", "write"])
        assert client.get("/api/sync", headers=bearer(issuer.token(**granted))).status_code == 200

    @pytest.mark.parametrize("granted", [{}, {"scope": "read"}, {"scope": "readwrite"}, {"scp": []}])
    def test_that_are_missing(self, open_client, issuer, granted):
        client = open_client(scopes=["read", "write"])
        response = client.get("/api/sync", headers=bearer(issuer.token(**granted)))
        assert response.status_code == 403
        assert response.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
        assert calls == []


class TestWhatItAppliesTo:
    def test_functions_can_be_left_open(self, client):
        AuthExtension.scope(exclude="health")
        assert client.get("/api/health").text == "well"
        assert client.get("/api/sync").status_code == 401

    def test_other_triggers_have_no_tokens(self, client):
        assert client.trigger("Tick").succeeded


class TestNeverOpen:
    def test_an_app_that_has_not_said_whose_tokens_are_valid_does_not_start(self):
        with pytest.raises(IndexingError, match="AuthExtension is required") as raised:
            FunctionAppClient(app, extensions=[AuthExtension]).__enter__()
        assert "configure(issuer=" in str(raised.value)

    def test_nor_one_with_extensions_turned_off(self):
        off = {"PYTHON_ENABLE_WORKER_EXTENSIONS": "0"}
        with pytest.raises(IndexingError, match="PYTHON_ENABLE_WORKER_EXTENSIONS is off"):
            FunctionAppClient(app, settings=off, extensions=[AuthExtension]).__enter__()

    @pytest.mark.parametrize(
        "options",
        [
            {"algorithms": ["none"]},
            {"algorithms": ["HS256"]},
            {"algorithms": ["RS256", "HS512"]},
            {"algorithms": []},
            {"issuer": ""},
            {"audience": ""},
            {"audience": []},
            {"jwks_url": "http://login.example.com/keys"},
            {"jwks_url": "file:///etc/keys"},
            {"jwks_url": ""},
        ],
    )
    def test_what_would_check_nothing_is_refused(self, issuer, options):
        with pytest.raises(ValueError):
            AuthExtension.configure(**{**issuer.configuration, **options})
