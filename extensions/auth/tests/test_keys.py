"""When the issuer is asked for its keys, and what happens when it does not answer."""

from __future__ import annotations

import threading

import jwt
import pytest
from python_worker_extension_auth import PAUSE, AuthExtension


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    """The time that PyJWT and the extension go by."""
    clock = Clock()
    for module in (jwt.jwks_client, jwt.jwk_set_cache, jwt.api_jwk):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr("python_worker_extension_auth.monotonic", clock.monotonic)
    return clock


@pytest.fixture
def keys(issuer, clock, monkeypatch):
    """The keys of an extension that is configured with what is usual."""
    for attribute in ("_keys", "_rules", "_scopes"):
        monkeypatch.setattr(AuthExtension, attribute, getattr(AuthExtension, attribute))
    AuthExtension.configure(**issuer.configuration)
    return AuthExtension._keys


def test_they_are_fetched_when_they_are_needed_and_kept_for_their_time(keys, issuer, clock):
    assert issuer.requests == 0
    for _ in range(3):
        keys.get_signing_key("one")
    clock.now += 299
    keys.get_signing_key("one")
    assert issuer.requests == 1
    clock.now += 2
    keys.get_signing_key("one")
    assert issuer.requests == 2


def test_a_key_that_was_withdrawn_is_not_used_any_longer(keys, issuer, clock):
    keys.get_signing_key("one")
    issuer.add("two")
    issuer.published = {"keys": [issuer.public("two")]}
    clock.now += 301
    with pytest.raises(jwt.PyJWTError):
        keys.get_signing_key("one")
    keys.get_signing_key("two")


def test_a_new_key_is_found_before_the_old_set_is_too_old(keys, issuer, clock):
    keys.get_signing_key("one")
    issuer.add("two")
    issuer.published["keys"].append(issuer.public("two"))
    clock.now += PAUSE
    keys.get_signing_key("two")
    assert issuer.requests == 2


def test_keys_that_nobody_has_do_not_have_the_issuer_asked_each_time(keys, issuer, clock):
    keys.get_signing_key("one")
    for number in range(50):
        with pytest.raises(jwt.PyJWTError):
            keys.get_signing_key(f"made up {number}")
    assert issuer.requests == 1
    clock.now += PAUSE
    for number in range(50):
        with pytest.raises(jwt.PyJWTError):
            keys.get_signing_key(f"made up {number}")
    assert issuer.requests == 2


def test_nor_do_they_have_one_asked_each_time_that_fails(keys, issuer, clock):
    keys.get_signing_key("one")
    issuer.status = 500
    clock.now += PAUSE
    for number in range(50):
        with pytest.raises(jwt.PyJWTError):
            keys.get_signing_key(f"made up {number}")
        keys.get_signing_key("one")
    assert issuer.requests == 2


def test_an_issuer_that_fails_is_bridged_until_the_keys_are_too_old_and_no_longer(keys, issuer, clock):
    keys.get_signing_key("one")
    issuer.status = 500
    clock.now += 299
    keys.get_signing_key("one")
    clock.now += 2
    with pytest.raises(jwt.PyJWKClientConnectionError, match="500"):
        keys.get_signing_key("one")
    issuer.status = 200
    with pytest.raises(jwt.PyJWKClientConnectionError):  # it has just been asked
        keys.get_signing_key("one")
    clock.now += PAUSE
    keys.get_signing_key("one")


@pytest.mark.parametrize("published", [[], {}, {"keys": 1}, {"keys": [1]}, "x" * (1 << 20)])
def test_an_answer_that_is_no_key_set(keys, issuer, published):
    issuer.published = published
    with pytest.raises(jwt.PyJWKClientConnectionError):
        keys.get_signing_key("one")


def test_an_issuer_that_sends_one_elsewhere_is_not_followed(keys, issuer):
    issuer.redirect = f"{issuer.url}?again"
    with pytest.raises(jwt.PyJWKClientConnectionError, match="302"):
        keys.get_signing_key("one")
    assert issuer.requests == 1


def test_a_token_without_a_key_id_will_do_where_there_is_one_key(keys, issuer, clock):
    keys.get_signing_key(None)
    issuer.add("two")
    issuer.published["keys"].append(issuer.public("two"))
    clock.now += 301
    with pytest.raises(jwt.PyJWTError):
        keys.get_signing_key(None)


def test_many_that_need_them_at_once_have_them_fetched_once(keys, issuer):
    together = threading.Barrier(8)

    def find():
        together.wait()
        keys.get_signing_key("one")

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert issuer.requests == 1
