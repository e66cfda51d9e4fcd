"""The keys that ``--enableAuth`` asks for: made on first use, shown when they are made, kept as hashes.

The keys are those of the Functions host: one **master** key, which opens everything; **host keys** (``functionKeys``),
each of which opens all functions; keys of one function; and **system keys**, for extensions. What is kept is the
SHA-256 of a key. A hash that is slow to compute, as for passwords, would guard against guessing; a key of 320 random
bits cannot be guessed, and with every request one is checked. A key that somebody chooses must be long for this reason.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import IntEnum
from typing import NamedTuple
from urllib.parse import parse_qs

from ..errors import ConfigurationError
from ..transports.http1 import Exchange
from .answers import header
from .app_state import AppState

FILE_NAME = "keys.json"
MASTER = "_master"
"""The name of the master key, among the system keys."""
DEFAULT = "default"
FUNCTION_KEYS, SYSTEM_KEYS = "functionKeys", "systemKeys"
"""The scopes of host keys. Every other scope is the name of a function."""

SHORTEST = 24
"""The fewest characters of a key that somebody chooses."""

_BYTES = 40
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,126}")


class Level(IntEnum):
    """What a key opens, and what a function asks for (``authLevel``)."""

    ANONYMOUS = 0
    FUNCTION = 1
    ADMIN = 2


class Key(NamedTuple):
    """A key, without its value.

    :ivar scope: :data:`FUNCTION_KEYS`, :data:`SYSTEM_KEYS`, or the name of a function in lower case.
    :ivar name: its name.
    :ivar created: when it was made, as ISO 8601 writes it.
    """

    scope: str
    name: str
    created: str


class KeyStore:
    """The keys of one app. What another process changes, such as ``func keys``, counts from the next request on.

    :param state: what is kept of the app; the keys are in :data:`FILE_NAME` there.
    """

    def __init__(self, state: AppState) -> None:
        self._state = state
        self._file = state.folder / FILE_NAME
        self._read_from: tuple[int, int, int] | None = None
        self._hashes: dict[tuple[str, str], tuple[str, str]] = {}  # scope and name → hash and time of creation

    def ensure(self) -> dict[str, str]:
        """Make the master key and the default host key, if they do not exist.

        :returns: name and value of what has been made; it cannot be had a second time.
        :raises ConfigurationError: if the file cannot be read or written.
        """
        self._load()
        missing = [key for key in ((SYSTEM_KEYS, MASTER), (FUNCTION_KEYS, DEFAULT)) if key not in self._hashes]
        return {name: self.set(scope, name)[0] for scope, name in missing}

    def list(self, scope: str | None = None) -> list[Key]:
        """The keys, of one scope or all.

        :raises ConfigurationError: if the file cannot be read.
        """
        self._load()
        wanted = None if scope is None else _folded(scope)
        return [Key(*key, created) for key, (_, created) in self._hashes.items() if wanted in (None, key[0])]

    def set(self, scope: str, name: str, value: str | None = None) -> tuple[str, bool]:
        """Make a key, or give one a new value.

        :param scope: as :attr:`Key.scope`; a function's name in any case.
        :param value: the value; a random one if ``None``.
        :returns: the value, and whether the key is a new one.
        :raises ConfigurationError: if the name or the value cannot be a key's, or the file cannot be written.
        """
        if not _NAME.fullmatch(name) and (_folded(scope), name) != (SYSTEM_KEYS, MASTER):
            raise ConfigurationError(f"{name!r} is no name for a key: letters, digits, - and _")
        if value is not None and (len(value) < SHORTEST or not value.isascii() or not value.isprintable()):
            raise ConfigurationError(f"a key must have at least {SHORTEST} characters, all of them ASCII")
        self._load()
        key = (_folded(scope), name)
        is_new = key not in self._hashes
        value = secrets.token_urlsafe(_BYTES) if value is None else value
        self._hashes[key] = (_digest(value), datetime.now(UTC).isoformat(timespec="seconds"))
        self._save()
        return value, is_new

    def delete(self, scope: str, name: str) -> bool:
        """Remove a key, and tell whether there was one. The master key can only be replaced.

        :raises ConfigurationError: if it is the master key, or the file cannot be written.
        """
        if name == MASTER:
            raise ConfigurationError("the master key cannot be deleted", hint="Give it another value instead.")
        self._load()
        if self._hashes.pop((_folded(scope), name), None) is None:
            return False
        self._save()
        return True

    def level(self, value: str, function: str = "") -> Level:
        """What a key opens.

        :param value: what a request presents, empty for none.
        :param function: the function that it asks for, if it is one.
        :raises ConfigurationError: if the file cannot be read.
        """
        if not value:
            return Level.ANONYMOUS
        self._load()
        digest, found = _digest(value), Level.ANONYMOUS
        scopes = (FUNCTION_KEYS, _folded(function))
        for (scope, name), (kept, _) in self._hashes.items():  # all of them: the time must not tell which one it is
            level = Level.ADMIN if name == MASTER else Level.FUNCTION if scope in scopes else Level.ANONYMOUS
            if hmac.compare_digest(kept, digest):
                found = max(found, level)
        return found

    def _load(self) -> None:
        try:
            stat = self._file.stat()
            if self._read_from == (stat.st_mtime_ns, stat.st_size, stat.st_ino):
                return
            self._hashes = dict(_entries(json.loads(self._file.read_text(encoding="utf-8"))))
            self._read_from = stat.st_mtime_ns, stat.st_size, stat.st_ino
        except FileNotFoundError:
            self._hashes, self._read_from = {}, None
        except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
            raise ConfigurationError(
                f"the keys cannot be read: {error}", file=self._file, hint="Delete this file to have new keys made."
            ) from None

    def _save(self) -> None:
        document: dict[str, dict[str, dict[str, str]]] = {}
        for (scope, name), (digest, created) in self._hashes.items():
            document.setdefault(scope, {})[name] = {"sha256": digest, "created": created}
        try:
            fresh = self._state.file(f"{FILE_NAME}.{secrets.token_hex(8)}")
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "w", encoding="utf-8") as stream:
                json.dump(document, stream, indent=2)
            fresh.replace(self._file)  # at once: another process reads the old keys or the new ones
        except OSError as error:
            raise ConfigurationError(f"the keys cannot be kept: {error.strerror}", file=self._file) from None


def presented_key(exchange: Exchange) -> str:
    """The key that a request presents: in the header ``x-functions-key``, or as ``code`` in the query."""
    given = header(exchange, b"x-functions-key")
    if given or "code=" not in exchange.query:
        return given
    try:
        return parse_qs(exchange.query, max_num_fields=1000).get("code", [""])[0]
    except ValueError:  # more parameters than anybody needs
        return ""


def required_level(auth_level: str) -> Level:
    """What a function with this ``authLevel`` asks for; ``function`` where it says nothing that is known."""
    return {"anonymous": Level.ANONYMOUS, "admin": Level.ADMIN}.get(auth_level.lower(), Level.FUNCTION)


def _entries(document: dict[str, dict[str, dict[str, str]]]) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    for scope, keys in document.items():
        for name, fields in keys.items():
            yield (scope, name), (fields["sha256"], fields["created"])


def _folded(scope: str) -> str:
    return scope if scope in (FUNCTION_KEYS, SYSTEM_KEYS) else scope.lower()


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
