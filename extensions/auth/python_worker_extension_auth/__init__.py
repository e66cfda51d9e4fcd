"""A worker extension for Azure Functions in Python that lets in only requests with a valid bearer token.

Importing this module registers it: from then on the app does not serve where it cannot run, or is not configured.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from logging import Logger
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import jwt
from azure.functions import Context, HttpRequest, HttpResponse

from worker_ext import AppExtensionBase

__all__ = ["AuthExtension"]

ALGORITHMS = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)) | {"EdDSA"}
"""Signatures that only the issuer can make. With a shared secret (HS256), whoever checks could sign too."""

PAUSE = 10.0  # seconds between two attempts to fetch keys: those who make up key ids must not have it done each time


class Keys(jwt.PyJWKClient):
    """The issuer's keys. One that fails is not asked again at once either, so that nobody waits for it in a queue."""

    _not_before = 0.0

    def fetch_data(self) -> Any:
        """Fetch the key set (called by PyJWT); any failure is a ``PyJWKClientConnectionError``."""
        if monotonic() < self._not_before:
            raise jwt.PyJWKClientConnectionError("the issuer has just failed")
        try:
            return super().fetch_data()
        except Exception as error:  # what is no key set is told in many ways
            self._not_before = monotonic() + PAUSE
            raise jwt.PyJWKClientConnectionError(str(error)) from error

    @classmethod
    def match_kid(cls, signing_keys: list[jwt.PyJWK], kid: Any) -> jwt.PyJWK | None:
        """The key of that id (called by PyJWT); where there is only one, a token need not say which."""
        return signing_keys[0] if kid is None and len(signing_keys) == 1 else super().match_kid(signing_keys, kid)


class Refused(Exception):
    """A request is not let in: for a reason that the log tells, with a status and an error code of RFC 6750."""

    def __init__(self, reason: str, *, status: int = 401, error: str = "invalid_token") -> None:
        super().__init__(reason)
        self.status, self.error = status, error

    def response(self) -> HttpResponse:
        """The answer, which does not tell how to do better."""
        challenge = f'Bearer error="{self.error}"' if self.error else "Bearer"
        headers = {"Cache-Control": "no-store", "WWW-Authenticate": challenge}
        body = json.dumps({"title": HTTPStatus(self.status).phrase, "status": self.status})
        return HttpResponse(body, status_code=self.status, headers=headers, mimetype="application/problem+json")


class AuthExtension(AppExtensionBase):
    """Checks the token of every HTTP request. ``AuthExtension.scope(exclude="health")`` leaves functions open."""

    required, triggers, priority = True, "httpTrigger", 100
    _keys: Keys | None = None
    _rules: Mapping[str, Any] = {}
    _scopes: frozenset[str] = frozenset()

    @classmethod
    def configure(
        cls,
        *,
        issuer: str,
        audience: str | Sequence[str],
        jwks_url: str,
        algorithms: Sequence[str] = ("RS256",),
        scopes: Sequence[str] = (),
        leeway: float = 30,
        jwks_lifetime: float = 300,
    ) -> None:
        """Say whose tokens are valid. An app that never does does not start.

        :param issuer: what ``iss`` must be, to the letter.
        :param audience: what ``aud`` must be, or hold; of several, one.
        :param jwks_url: where the issuer publishes its keys, over https.
        :param algorithms: the signatures that are accepted.
        :param scopes: what ``scope`` or ``scp`` must hold, all of it; otherwise the answer is 403.
        :param leeway: seconds by which clocks may differ.
        :param jwks_lifetime: seconds for which keys are used before they are fetched again.
        :raises ValueError: if tokens could be forged with that, or nothing would be checked.
        """
        if not issuer or not audience:
            raise ValueError("issuer and audience must be given: without them, the tokens of other apps would do")
        if not algorithms or not ALGORITHMS.issuperset(algorithms):
            raise ValueError(f"algorithms is a list of some of {', '.join(sorted(ALGORITHMS))}; not {algorithms!r}")
        url = urlsplit(jwks_url)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")):
            raise ValueError(f"jwks_url is {jwks_url!r}; it must be https, or anybody on the way could give you keys")
        cls._keys = Keys(jwks_url, lifespan=jwks_lifetime, timeout=5, cooldown_duration=PAUSE)
        cls._rules = {"algorithms": list(algorithms), "issuer": issuer, "audience": audience, "leeway": leeway}
        cls._scopes = frozenset([scopes] if isinstance(scopes, str) else scopes)

    @classmethod
    def claims(cls, context: Context) -> dict[str, Any]:
        """The claims of the token that the running invocation was let in with; for functions and other extensions."""
        return dict(cls.data(context).get("claims", {}))

    @classmethod
    def on_startup(cls) -> None:
        """Refuse to serve an app that has not said whose tokens are valid."""
        if cls._keys is None:
            raise RuntimeError("AuthExtension.configure(issuer=…, audience=…, jwks_url=…) has not been called")

    @classmethod
    async def around_invocation_app_level(
        cls, logger: Logger, context: Context, func_args: Any, call_next: Callable[[], Awaitable[Any]], *args: Any
    ) -> Any:
        """Call the function if the request's token is valid; otherwise answer 401, 403, or 503 without the keys."""
        headers = [one.headers.get("authorization") for one in func_args.values() if isinstance(one, HttpRequest)]
        try:
            cls.data(context)["claims"] = await cls._checked(headers[0] or "" if headers else "")
        except Refused as refused:
            logger.warning("%s is not called: %s", context.function_name, refused)
            return refused.response()
        return await call_next()

    @classmethod
    async def _checked(cls, header: str) -> dict[str, Any]:
        """The claims of the token in an ``Authorization`` header."""
        words = header.split()
        if len(words) != 2 or words[0].lower() != "bearer" or len(header) > 16384 or cls._keys is None:
            raise Refused("it has no bearer token, or one that is too long", error="")
        try:
            key = await asyncio.to_thread(cls._keys.get_signing_key_from_jwt, words[1])
            claims = jwt.decode(words[1], key.key, options={"require": ["exp", "iss", "aud"]}, **cls._rules)
        except jwt.PyJWKClientConnectionError as error:
            raise Refused(f"the issuer's keys cannot be had: {error}", status=503, error="") from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(f"its token is not valid: {error}") from error
        granted = claims.get("scope", claims.get("scp", ""))
        if missing := cls._scopes.difference(granted.split() if isinstance(granted, str) else granted):
            raise Refused(f"its token lacks {', '.join(sorted(missing))}", status=403, error="insufficient_scope")
        return claims
