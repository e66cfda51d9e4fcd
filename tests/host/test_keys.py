"""Keys: how they are kept, what each opens, and what the host does with ``--enableAuth``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hosting import RunningHost, running_host, write_app

from worker_ext.errors import ConfigurationError
from worker_ext.host.app_state import AppState
from worker_ext.host.keys import DEFAULT, FUNCTION_KEYS, MASTER, SHORTEST, SYSTEM_KEYS, KeyStore, Level, required_level
from worker_ext.host.state import state_folder

LONG = "a-key-that-somebody-has-chosen"


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(AppState(tmp_path))


class TestStore:
    """What is kept of a key, and what it opens."""

    def test_makes_two_keys_on_first_use_and_none_on_the_second(self, keys: KeyStore, tmp_path: Path) -> None:
        made = keys.ensure()
        assert list(made) == [MASTER, DEFAULT]
        assert all(len(value) > 50 for value in made.values())
        assert keys.ensure() == {}
        assert KeyStore(AppState(tmp_path)).ensure() == {}

    def test_keeps_no_value(self, keys: KeyStore, tmp_path: Path) -> None:
        values = [*keys.ensure().values(), keys.set("Hello", "mine", LONG)[0]]
        kept = "".join(file.read_text() for file in tmp_path.rglob("*") if file.is_file())
        assert not any(value in kept for value in values)
        assert not any(value in repr(keys.list()) for value in values)

    @pytest.mark.skipif(os.name == "nt", reason="there, the folder of the user's own data is nobody else's already")
    def test_nobody_else_may_read_the_file(self, keys: KeyStore, tmp_path: Path) -> None:
        keys.ensure()
        assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600

    def test_what_each_opens(self, keys: KeyStore) -> None:
        made = keys.ensure()
        own, _ = keys.set("Hello", "mine")
        system, _ = keys.set(SYSTEM_KEYS, "an_extension")
        assert keys.level(made[MASTER]) is keys.level(made[MASTER], "Other") is Level.ADMIN
        assert keys.level(made[DEFAULT], "Other") is Level.FUNCTION
        assert keys.level(own, "HELLO") is Level.FUNCTION
        for value, function in ((own, "Other"), (own, ""), (system, "Hello"), ("", "Hello"), (LONG, "Hello")):
            assert keys.level(value, function) is Level.ANONYMOUS

    def test_a_new_value_takes_the_place_of_the_old_one(self, keys: KeyStore) -> None:
        old, is_new = keys.set(FUNCTION_KEYS, "mine")
        new, is_newer = keys.set(FUNCTION_KEYS, "mine", LONG)
        assert (is_new, is_newer, new) == (True, False, LONG)
        assert (keys.level(old), keys.level(new)) == (Level.ANONYMOUS, Level.FUNCTION)

    def test_what_another_process_changes_counts_at_once(self, keys: KeyStore, tmp_path: Path) -> None:
        value = keys.ensure()[DEFAULT]
        other = KeyStore(AppState(tmp_path))
        assert other.level(value) is Level.FUNCTION
        assert other.delete(FUNCTION_KEYS, DEFAULT)
        assert keys.level(value) is Level.ANONYMOUS
        assert not keys.delete(FUNCTION_KEYS, DEFAULT)

    def test_the_master_key_stays(self, keys: KeyStore) -> None:
        keys.ensure()
        with pytest.raises(ConfigurationError, match="cannot be deleted"):
            keys.delete(SYSTEM_KEYS, MASTER)

    @pytest.mark.parametrize("name", ["", "_x", "a b", "a/b", "../a", "ä", "x" * 200, MASTER])
    def test_names_that_cannot_be(self, keys: KeyStore, name: str) -> None:
        with pytest.raises(ConfigurationError, match="no name for a key"):
            keys.set(FUNCTION_KEYS, name)

    @pytest.mark.parametrize("value", ["", "short", "x" * (SHORTEST - 1), "ä" * SHORTEST, "\n" * SHORTEST])
    def test_values_that_could_be_guessed_or_not_be_sent(self, keys: KeyStore, value: str) -> None:
        with pytest.raises(ConfigurationError, match=f"at least {SHORTEST} characters"):
            keys.set(FUNCTION_KEYS, "mine", value)

    @pytest.mark.parametrize("content", ["{", "[]", "7", '{"a": 1}', '{"a": {"b": {}}}', '{"a": {"b": {"sha256": 1}}}'])
    def test_a_damaged_file_opens_nothing(self, keys: KeyStore, tmp_path: Path, content: str) -> None:
        keys.ensure()
        (tmp_path / "keys.json").write_text(content)
        with pytest.raises(ConfigurationError, match=r"keys\.json: the keys cannot be read"):
            keys.level(LONG)

    @given(st.text())
    def test_no_other_text_opens_anything(self, text: str) -> None:
        keys = KeyStore(AppState(Path("/nonexistent")))
        assert keys.level(text, text) is Level.ANONYMOUS

    @pytest.mark.parametrize(
        ("text", "level"),
        [("anonymous", 0), ("Anonymous", 0), ("function", 1), ("ADMIN", 2), ("nonsense", 1), ("", 1)],
    )
    def test_levels_of_functions(self, text: str, level: int) -> None:
        assert required_level(text) == level


APP = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

@app.route(route="hello")
def Hello(req):
    return "hello"

@app.route(route="other")
def Other(req):
    return "other"

@app.route(route="open", auth_level=func.AuthLevel.ANONYMOUS)
def Open(req):
    return "open"

@app.route(route="closed", auth_level=func.AuthLevel.ADMIN)
def Closed(req):
    return "closed"
"""


class Keyed:
    """A host with ``--enableAuth``, and the keys that it has shown."""

    def __init__(self, host: RunningHost) -> None:
        self.host = host
        self.master = host.wait_for(r"master key \(opens everything\): (\S+)")[1]
        self.default = host.wait_for(r"host key \(opens every function\): (\S+)")[1]

    def status(self, path: str, key: str = "", method: str = "GET", body: str | None = None) -> int:
        return self.host.request(method, path, body, {"x-functions-key": key} if key else {}).status


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = write_app(tmp_path_factory.mktemp("app"), {"function_app.py": APP})
    with running_host(folder, "--enableAuth") as host:
        yield Keyed(host)


class TestWithEnableAuth:
    """What a request must present."""

    def test_functions_ask_for_what_their_level_says(self, keyed: Keyed) -> None:
        statuses = {
            path: [keyed.status(f"/api/{path}", key) for key in ("", "wrong", keyed.default, keyed.master)]
            for path in ("open", "hello", "closed")
        }
        assert statuses == {
            "open": [200, 200, 200, 200],
            "hello": [401, 401, 200, 200],
            "closed": [401, 401, 401, 200],
        }

    def test_a_key_in_the_query(self, keyed: Keyed) -> None:
        assert keyed.host.get(f"/api/hello?a=1&code={keyed.default}").status == 200
        assert keyed.host.get("/api/hello?code=wrong").status == 401
        assert keyed.host.get("/api/hello?code=").status == 401

    def test_the_admin_api_asks_for_the_master_key(self, keyed: Keyed) -> None:
        for path in ("/admin/functions", "/admin/host/status", "/admin/host/systemkeys"):
            assert [keyed.status(path, key) for key in ("", keyed.default, keyed.master)] == [401, 401, 200]
        assert keyed.status("/admin/host/ping") == 200

    def test_keys_of_one_function(self, keyed: Keyed) -> None:
        host, path = keyed.host, "/admin/functions/hello/keys/mine"
        admin = {"x-functions-key": keyed.master}
        made = host.request("POST", path, headers=admin)
        assert made.status == 201
        key = made.json()["value"]
        assert [keyed.status(f"/api/{name}", key) for name in ("hello", "other", "closed")] == [200, 401, 401]
        [listed] = host.get("/admin/functions/Hello/keys", admin).json()["keys"]
        assert (listed["name"], listed["value"]) == ("mine", None)
        assert host.get(path, admin).json()["name"] == "mine"
        changed = host.request("PUT", path, json.dumps({"name": "mine", "value": LONG}), admin)
        assert (changed.status, changed.json()) == (200, {"name": "mine", "value": LONG})
        assert [keyed.status("/api/hello", value) for value in (key, LONG)] == [401, 200]
        assert [keyed.status(path, keyed.master, "DELETE") for _ in range(2)] == [204, 404]
        assert keyed.status("/api/hello", LONG) == 401

    @pytest.mark.parametrize(
        ("method", "path", "body", "status"),
        [
            ("POST", "/admin/functions/nothing/keys/a", None, 404),
            ("GET", "/admin/functions/nothing/keys", None, 404),
            ("GET", "/admin/functions/hello/keys/nothing", None, 404),
            ("POST", "/admin/functions/hello/keys/a%20b", None, 400),
            ("PUT", "/admin/functions/hello/keys/a", '{"value": "short"}', 400),
            ("PUT", "/admin/functions/hello/keys/a", "{}", 400),
            ("PUT", "/admin/functions/hello/keys/a", "[", 400),
            ("DELETE", "/admin/host/systemkeys/_master", None, 400),
            ("GET", "/admin/host/secrets", None, 404),
        ],
    )
    def test_what_cannot_be_done_with_keys(
        self, keyed: Keyed, method: str, path: str, body: str | None, status: int
    ) -> None:
        assert keyed.status(path, keyed.master, method, body) == status

    def test_host_keys(self, keyed: Keyed) -> None:
        made = keyed.host.request("POST", "/admin/host/functionkeys/ci", headers={"x-functions-key": keyed.master})
        assert keyed.status("/api/other", made.json()["value"]) == 200
        listed = keyed.host.get("/admin/host/keys", {"x-functions-key": keyed.master}).json()["keys"]
        assert {key["name"] for key in listed} == {"default", "ci"}

    def test_the_master_key_can_be_replaced(self, keyed: Keyed) -> None:
        path, old = "/admin/host/systemkeys/_master", keyed.master
        made = keyed.host.request("POST", path, headers={"x-functions-key": old})
        assert made.status == 200
        keyed.master = made.json()["value"]
        assert [keyed.status("/admin/functions", key) for key in (old, keyed.master)] == [401, 200]
        listed = keyed.host.get("/admin/host/systemkeys", {"x-functions-key": keyed.master}).json()["keys"]
        assert listed == []  # as in Azure, which shows the master key nowhere among them

    def test_keys_are_shown_once_and_never_again(self, keyed: Keyed) -> None:
        keyed.status("/api/hello", keyed.default)
        keyed.host.get(f"/api/hello?code={keyed.default}")
        keyed.host.wait_for(r"Executed 'Functions.Hello'")
        shown = keyed.host.wait_for(r"master key \(opens everything\): (\S+)")[1]
        assert keyed.host.console.count(keyed.default) == keyed.host.console.count(shown) == 1
        assert keyed.master == shown or keyed.master not in keyed.host.console


def test_keys_outlive_the_host(tmp_path: Path) -> None:
    folder = write_app(tmp_path, {"function_app.py": APP})
    with running_host(folder, "--enableAuth") as host:
        first = Keyed(host)
        assert host.get("/api/hello").status == 401
    with running_host(folder, "--enableAuth") as host:
        assert host.request("GET", "/api/hello", headers={"x-functions-key": first.default}).status == 200
        assert not re.search("key", host.console)


def test_without_it_no_key_is_needed_and_none_is_made(tmp_path: Path) -> None:
    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    with running_host(folder, environ={"WORKER_EXT_STATE": str(tmp_path / "state")}) as host:
        assert [host.get(f"/api/{path}").status for path in ("hello", "closed")] == [200, 200]
    assert not (tmp_path / "state").exists()


def test_a_damaged_file_keeps_the_host_from_starting(tmp_path: Path) -> None:
    from support.hosting import start_fails

    folder = write_app(tmp_path / "app", {"function_app.py": APP})
    environ = {"WORKER_EXT_STATE": str(tmp_path / "state")}
    state = state_folder(folder, environ)
    state.mkdir(parents=True)
    (state / "keys.json").write_text("{")
    told = start_fails(folder, "--enableAuth", environ=environ)
    assert "keys.json: the keys cannot be read" in told
    assert "Delete this file" in told
