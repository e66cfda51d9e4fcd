"""A worker extension for Azure Functions in Python that lets in only requests with a valid bearer token.

Importing this module registers it, and from then on the app does not serve without it: not with extensions turned off,
not on a worker that cannot run it, and not before :meth:`AuthExtension.configure` has said whose tokens are valid.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from logging import Logger
from typing import Any
from urllib.parse import urlsplit

import jwt
from azure.functions import Context, HttpRequest, HttpResponse

from worker_ext import AppExtensionBase

from .keys import Keys, KeysUnavailable

__all__ = ["AuthExtension"]

ALGORITHMS = frozenset(f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)) | {"EdDSA"}
"""Signatures that only the issuer can make. With a shared secret (HS256), whoever checks could sign too."""

Call = Callable[[], Awaitable[Any]]

_LONGEST = 16 * 1024  # characters of a header


class Refused(Exception):
    """A request is not let in.

    :param reason: why; for the log, not for the client.
    :param status: the HTTP status.
    :param error: the error code of RFC 6750, section 3.1; none if there was no token.
    """

    def __init__(self, reason: str, *, status: int = 401, error: str = "invalid_token") -> None:
        super().__init__(reason)
        self.status, self.error = status, error

    def response(self) -> HttpResponse:
        """The answer, which does not tell how to do better."""
        headers = {"Cache-Control": "no-store"}
        if self.status != 503:
            headers["WWW-Authenticate"] = f'Bearer error="{self.error}"' if self.error else "Bearer"
        title = {401: "Unauthorized", 403: "Forbidden", 503: "Service Unavailable"}[self.status]
        body = json.dumps({"title": title, "status": self.status})
        return HttpResponse(body, status_code=self.status, headers=headers, mimetype="application/problem+json")


class AuthExtension(AppExtensionBase):
    """Checks the token of every HTTP request. ``AuthExtension.scope(exclude="health")`` leaves functions open."""

    required = True
    triggers = "httpTrigger"
    priority = 100

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
        accepted = [algorithms] if isinstance(algorithms, str) else list(algorithms)
        if not accepted or set(accepted) - ALGORITHMS:
            raise ValueError(f"algorithms are some of {', '.join(sorted(ALGORITHMS))}; not {algorithms!r}")
        url = urlsplit(jwks_url)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1")):
            raise ValueError(f"jwks_url is {jwks_url!r}; it must be https, or anybody on the way could give you keys")
        cls._keys = Keys(jwks_url, lifetime=jwks_lifetime)
        claimed = {"issuer": issuer, "audience": audience, "options": {"require": ["exp", "iss", "aud"]}}
        cls._rules = {"algorithms": accepted, "leeway": leeway, **claimed}
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
        cls, logger: Logger, context: Context, func_args: Any, call_next: Call, *args: Any, **kwargs: Any
    ) -> Any:
        """Call the function if the request's token is valid; otherwise answer 401, 403, or 503 without the keys."""
        request = next((value for value in func_args.values() if isinstance(value, HttpRequest)), None)
        try:
            if request is None:
                raise Refused("there is no request to look at")
            cls.data(context)["claims"] = await cls._checked(request.headers.get("authorization") or "")
        except Refused as refused:
            logger.warning("%s is not called: %s", context.function_name, refused)
            return refused.response()
        return await call_next()

    @classmethod
    async def _checked(cls, header: str) -> Mapping[str, Any]:
        """The claims of the token in an ``Authorization`` header."""
        kind, _, token = header.strip().partition(" ")
        if kind.lower() != "bearer" or not token.strip():
            raise Refused("it has no bearer token", error="")
        if cls._keys is None or len(header) > _LONGEST:
            raise Refused("no keys are configured" if cls._keys is None else "its token is too long")
        try:
            head = jwt.get_unverified_header(token.strip())
            if head.get("alg") not in cls._rules["algorithms"]:  # before anybody looks for a key
                raise Refused(f"its token is signed with {head.get('alg')!r}")
            key = await asyncio.to_thread(cls._keys.find, head.get("kid"), head["alg"])
            claims: Mapping[str, Any] = jwt.decode(token.strip(), key, **cls._rules)
        except KeysUnavailable as error:
            raise Refused(f"the issuer's keys cannot be had: {error}", status=503) from error
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(f"its token is not valid: {error}") from error
        granted = claims.get("scope", claims.get("scp", ""))
        if missing := cls._scopes - set(granted.split() if isinstance(granted, str) else granted):
            raise Refused(f"its token lacks {', '.join(sorted(missing))}", status=403, error="insufficient_scope")
        return claims
