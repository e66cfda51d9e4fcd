"""The issuer's keys, fetched when they are needed and used for a limited time."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Callable
from typing import Any

import jwt

TIMEOUT = 5.0
"""Seconds that the issuer has to answer."""

PAUSE = 10.0
"""Seconds between two attempts to fetch: tokens with made-up key ids must not have the issuer asked each time."""

_LARGEST = 1024 * 1024


class KeysUnavailable(Exception):
    """The keys cannot be fetched, and those that there were are too old."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Who is asked is who was configured: a redirect could lead away from https, and it becomes an error."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Do not follow (called by :mod:`urllib`)."""


_opener = urllib.request.build_opener(_NoRedirects)


class Keys:
    """The keys at a URL.

    :param url: the JSON Web Key Set (RFC 7517).
    :param lifetime: seconds for which a fetched set is used.
    :param clock: the time in seconds.
    """

    def __init__(self, url: str, *, lifetime: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: dict[Any, dict[str, Any]] = {}
        self._fetched = self._tried = float("-inf")
        self._failure = ""

    def find(self, identifier: Any, algorithm: str) -> jwt.PyJWK:
        """The key of that id; it may block for as long as the issuer takes.

        :param identifier: ``kid`` of the token's header; ``None`` will do where there is only one key.
        :param algorithm: ``alg`` of the token's header, which the key must be for.
        :raises KeysUnavailable: if there are no keys that may still be used.
        :raises jwt.PyJWTError: if there is no such key.
        """
        found = self._current(identifier)
        if found is None or found.get("use", "sig") != "sig" or found.get("alg", algorithm) != algorithm:
            raise jwt.InvalidKeyError(f"there is no key {identifier!r} for {algorithm}")
        return jwt.PyJWK(found, algorithm)

    def _current(self, identifier: Any) -> dict[str, Any] | None:
        with self._lock:
            is_old = self._clock() - self._fetched >= self._lifetime
            if (is_old or self._look_up(identifier) is None) and self._clock() - self._tried >= PAUSE:
                self._tried = self._clock()
                self._fetch()
            if self._clock() - self._fetched >= self._lifetime:
                raise KeysUnavailable(self._failure or "they are too old")
            return self._look_up(identifier)

    def _look_up(self, identifier: Any) -> dict[str, Any] | None:
        if identifier is None and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(identifier) if isinstance(identifier, str) else None

    def _fetch(self) -> None:
        try:
            with _opener.open(self._url, timeout=TIMEOUT) as answer:
                body = answer.read(_LARGEST + 1)
            if len(body) > _LARGEST:
                raise ValueError("the key set is too large")
            self._keys = {key.get("kid"): key for key in json.loads(body)["keys"]}
            self._fetched, self._failure = self._clock(), ""
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            self._failure = str(error) or repr(error)
