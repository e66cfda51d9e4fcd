"""The part of the admin API that makes, lists and deletes keys.

Values are in the answer to whoever makes a key, and nowhere else: only hashes are kept (:mod:`worker_ext.host.keys`).
Where the Functions host would show a value, there is ``null``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial

from ..errors import ConfigurationError
from ..transports.http1 import Exchange
from .answers import answer_empty, answer_json, answer_text
from .functions import HostedFunction
from .keys import FUNCTION_KEYS, MASTER, SYSTEM_KEYS, Key, KeyStore

_HOST_SCOPES = {"keys": FUNCTION_KEYS, "functionkeys": FUNCTION_KEYS, "systemkeys": SYSTEM_KEYS}

Handlers = dict[str, Callable[..., None]]
"""What answers each method; it is called with the exchange and the texts that the path's pattern holds."""

ScopeOf = Callable[[str], str | None]
"""Finds the scope that a path names; ``None`` if there is none."""


class KeysApi:
    """Answers requests about keys.

    :param keys: the keys of the app.
    :param function: finds a function by its name in any case.
    """

    def __init__(self, keys: KeyStore, function: Callable[[str], HostedFunction | None]) -> None:
        self._keys = keys
        self._function = function

    def routes(self) -> dict[str, Handlers]:
        """Patterns of paths below ``/admin``, and what answers each method there."""
        routes: dict[str, Handlers] = {}
        for path, scope_of in (
            ("/functions/([^/]+)/keys", self._function_scope),
            ("/host/(keys|functionkeys|systemkeys)", lambda word: _HOST_SCOPES[word.lower()]),
        ):
            routes[path] = {"GET": partial(self._list, scope_of)}
            routes[f"{path}/([^/]+)"] = {
                "GET": partial(self._get, scope_of),
                "POST": partial(self._make, scope_of),
                "PUT": partial(self._put, scope_of),
                "DELETE": partial(self._delete, scope_of),
            }
        return routes

    def _function_scope(self, name: str) -> str | None:
        return name if self._function(name) is not None else None

    def _list(self, scope_of: ScopeOf, exchange: Exchange, place: str) -> None:
        scope = scope_of(place)
        if scope is None:
            answer_empty(exchange, 404)
        else:
            keys = [key for key in self._keys.list(scope) if key.name != MASTER]
            answer_json(exchange, 200, {"keys": [_described(key) for key in keys]})

    def _get(self, scope_of: ScopeOf, exchange: Exchange, place: str, name: str) -> None:
        scope = scope_of(place)
        found = next((key for key in self._keys.list(scope) if key.name == name), None) if scope else None
        if found is None:
            answer_empty(exchange, 404)
        else:
            answer_json(exchange, 200, _described(found))

    def _make(self, scope_of: ScopeOf, exchange: Exchange, place: str, name: str) -> None:
        self._set(scope_of(place), exchange, name, None)

    def _put(self, scope_of: ScopeOf, exchange: Exchange, place: str, name: str) -> None:
        try:
            value = json.loads(exchange.body)["value"]
        except (ValueError, LookupError, TypeError, RecursionError):
            value = None
        if isinstance(value, str):
            self._set(scope_of(place), exchange, name, value)
        else:
            answer_text(exchange, 400, 'The body must be a JSON object: {"name": …, "value": …}.')

    def _set(self, scope: str | None, exchange: Exchange, name: str, value: str | None) -> None:
        if scope is None:
            answer_empty(exchange, 404)
            return
        try:
            kept, is_new = self._keys.set(scope, name, value)
        except ConfigurationError as error:
            _refuse(exchange, error)
        else:
            answer_json(exchange, 201 if is_new else 200, {"name": name, "value": kept})

    def _delete(self, scope_of: ScopeOf, exchange: Exchange, place: str, name: str) -> None:
        scope = scope_of(place)
        try:
            deleted = scope is not None and self._keys.delete(scope, name)
        except ConfigurationError as error:
            _refuse(exchange, error)
        else:
            answer_empty(exchange, 204 if deleted else 404)


def _described(key: Key) -> dict[str, str | None]:
    return {"name": key.name, "value": None, "created": key.created}


def _refuse(exchange: Exchange, error: ConfigurationError) -> None:
    answer_text(exchange, 400 if error.file is None else 500, str(error))
