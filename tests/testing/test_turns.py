"""Clients that are opened, called and closed at the same time: each has its world until that has ended."""

from __future__ import annotations

import asyncio
import threading

import azure.functions as func
import pytest

from worker_ext import AppExtensionBase, ConfigurationError
from worker_ext.hooks import sdk
from worker_ext.testing import AsyncFunctionAppClient, FunctionAppClient

TIME_LIMIT = 10

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)


class Level(AppExtensionBase):
    """Has another level for each client, and notes on which its process hooks run."""

    level = 0

    @classmethod
    def on_startup(cls):
        signals.starting.set()
        signals.start.wait(TIME_LIMIT)
        signals.noted.append(("startup", cls.level))

    @classmethod
    def on_shutdown(cls):
        signals.noted.append(("shutdown", cls.level))


class Signals:
    """What the test and the functions wait for."""

    def __init__(self) -> None:
        self.noted: list = []
        self.running, self.go_on, self.starting, self.start = (threading.Event() for _ in range(4))
        self.start.set()
        self.client: FunctionAppClient | None = None


signals = Signals()


@app.route("level")
def level(req):
    return str(Level.level)


@app.route("waits")
def waits(req):
    before = Level.level
    signals.running.set()
    signals.go_on.wait(TIME_LIMIT)
    return f"{before} {Level.level}"


@app.route("asks")
def asks(req):
    """Opens a client of its own, calls it, and looks at what is there in between and afterwards."""
    inner = client(7)
    found = [Level.level]
    with inner:
        found += [Level.level, inner.get("/api/level").text, Level.level]
    return str([*found, Level.level])


def client(to, cls=FunctionAppClient):
    def configure():
        Level.level = to

    return cls(app, extensions=[Level, configure])


class Started(threading.Thread):
    """Runs a function, whose result :meth:`result` waits for."""

    def __init__(self, work):
        super().__init__(target=lambda: self.found.append(work()), daemon=True)
        self.found: list = []
        self.start()

    def result(self):
        self.join(TIME_LIMIT)
        return self.found[0]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """The test's signals; and what registers during it is forgotten."""
    monkeypatch.setitem(globals(), "signals", Signals())
    before = sdk.switch(sdk.Extensions())
    yield
    sdk.switch(before)
    assert Level.level == 0


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)], ids=str)
def test_each_ends_as_it_was_configured(order):
    clients = [client(to).__enter__() for to in range(3)]
    for each in order:
        clients[each].close()
    assert signals.noted == [("startup", 0), ("startup", 1), ("startup", 2), *(("shutdown", each) for each in order)]


def test_one_that_opens_waits_for_a_call_in_another():
    with client(1) as one:
        call = Started(lambda: one.get("/api/waits").text)
        signals.running.wait(TIME_LIMIT)
        opening = Started(lambda: client(2).__enter__())
        opening.join(0.2)  # what it must not do meanwhile cannot be waited for
        signals.go_on.set()
        assert call.result() == "1 1"
        with opening.result() as other:
            assert other.get("/api/level").text == "2"


def test_a_call_waits_for_another_one_that_opens():
    with client(1) as one:
        signals.starting.clear()
        signals.start.clear()
        opening = Started(lambda: client(2).__enter__())
        signals.starting.wait(TIME_LIMIT)
        call = Started(lambda: one.get("/api/level").text)
        call.join(0.2)
        signals.start.set()
        assert call.result() == "1"
        opening.result().close()
    assert signals.noted == [("startup", 1), ("startup", 2), ("shutdown", 2), ("shutdown", 1)]


def test_one_that_closes_waits_for_a_call_in_another():
    with client(1) as one:
        other = client(2).__enter__()
        call = Started(lambda: one.get("/api/waits").text)
        signals.running.wait(TIME_LIMIT)
        closing = Started(other.close)
        closing.join(0.2)
        signals.go_on.set()
        assert (call.result(), closing.result()) == ("1 1", None)


def test_a_function_that_opens_one_has_its_own_world_again_afterwards():
    with client(1) as one:
        assert one.get("/api/asks").raise_for_status().text == "[1, 1, '7', 1, 1]"


class TestAsync:
    def test_one_that_opens_waits_for_a_call_in_another(self):
        async def main():
            async with client(1, AsyncFunctionAppClient) as one:
                call = asyncio.ensure_future(one.get("/api/waits"))
                await asyncio.to_thread(signals.running.wait, TIME_LIMIT)
                opening = asyncio.ensure_future(client(2, AsyncFunctionAppClient).__aenter__())
                await asyncio.wait([opening], timeout=0.2)
                signals.go_on.set()
                assert (await call).text == "1 1"
                async with await opening as other:
                    assert (await other.get("/api/level")).text == "2"

        asyncio.run(main())

    def test_what_would_wait_for_its_own_loop_is_refused(self):
        async def main():
            async with client(1, AsyncFunctionAppClient) as one:
                call = asyncio.ensure_future(one.get("/api/waits"))
                await asyncio.to_thread(signals.running.wait, TIME_LIMIT)
                with pytest.raises(ConfigurationError, match="wait for it forever"):
                    client(2).get("/api/level")
                signals.go_on.set()
                assert (await call).text == "1 1"

        asyncio.run(main())

    def test_it_is_closed_once(self):
        async def main():
            async with client(1, AsyncFunctionAppClient) as one:
                await one.aclose()
            assert signals.noted == [("startup", 1), ("shutdown", 1)]

        asyncio.run(main())

    def test_a_call_before_it_is_open_or_after_says_so(self):
        async def main():
            one = client(1, AsyncFunctionAppClient)
            with pytest.raises(ConfigurationError, match="the client is not open"):
                await one.get("/api/level")
            async with one:
                pass
            with pytest.raises(ConfigurationError, match="the client is not open"):
                await one.get("/api/level")

        asyncio.run(main())


@pytest.mark.parametrize("name", ["functions", "extensions"])
def test_one_that_has_not_been_opened_knows_nothing_yet(name):
    with pytest.raises(ConfigurationError, match="the client is not open"):
        getattr(client(1), name)
