"""Functions that fail are run again, by the policy that they have been given."""

from __future__ import annotations

import asyncio
import threading

import azure.functions as func
import pytest
from python_worker_extension_retry import RetryExtension
from tenacity import retry_if_exception_type, retry_if_result, stop_after_attempt, wait_fixed, wait_none

from worker_ext import ConfigurationError
from worker_ext.testing import FunctionAppClient


class Flaky:
    """An app whose functions fail a few times."""

    def __init__(self, failures=2):
        self.failures = failures
        self.calls = 0
        self.threads = set()
        self.app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)

        @self.app.route("sync")
        def sync(req: func.HttpRequest) -> str:
            return self.call()

        @self.app.route("async")
        async def run_async(req: func.HttpRequest) -> str:
            await asyncio.sleep(0)
            return self.call()

        @self.app.queue_trigger("msg", queue_name="q", connection="C")
        def on_message(msg: func.QueueMessage) -> None:
            self.call()

        self.functions = {"sync": sync, "run_async": run_async, "on_message": on_message}

    def call(self):
        self.calls += 1
        self.threads.add(threading.current_thread())
        if self.calls <= self.failures:
            raise ConnectionError(f"try {self.calls}")
        return f"after {self.calls}"


@pytest.fixture
def run():
    """Opens a client of a flaky app with one policy."""
    clients = []

    def run(flaky, extension):
        client = FunctionAppClient(flaky.app, extensions=[extension])
        clients.append(client)
        return client

    yield run
    for client in clients:
        client.close()


@pytest.mark.parametrize("path", ["sync", "async"])
class TestHttp:
    def test_is_run_until_it_succeeds(self, run, path):
        flaky = Flaky()
        client = run(flaky, RetryExtension(include="*", wait=wait_none()))
        response = client.get(f"/api/{path}")
        assert response.text == "after 3"
        tries = [line for line in response.messages if line.startswith("Try ")]
        assert [line.split(";")[0][:60] for line in tries] == [
            f"Try {n} of {response.function} raised ConnectionError('try {n}')" for n in (1, 2)
        ]

    def test_in_the_end_it_fails_with_what_the_function_raised(self, run, path):
        flaky = Flaky(failures=10)
        client = run(flaky, RetryExtension(include="*", wait=wait_none()))
        response = client.get(f"/api/{path}")
        assert isinstance(response.error, ConnectionError)
        assert (flaky.calls, str(response.error)) == (3, "try 3")

    def test_only_for_the_errors_of_the_policy(self, run, path):
        flaky = Flaky()
        client = run(flaky, RetryExtension(include="*", wait=wait_none(), retry=retry_if_exception_type(TimeoutError)))
        assert isinstance(client.get(f"/api/{path}").error, ConnectionError)
        assert flaky.calls == 1

    def test_a_result_can_be_a_reason_too(self, run, path):
        flaky = Flaky(failures=0)
        policy = {"retry": retry_if_result(lambda text: text != "after 4"), "stop": stop_after_attempt(5)}
        client = run(flaky, RetryExtension(include="*", wait=wait_none(), **policy))
        assert client.get(f"/api/{path}").text == "after 4"


def test_each_function_has_its_own_policy():
    flaky = Flaky(failures=3)
    once, often = (
        RetryExtension(stop=stop_after_attempt(1)),
        RetryExtension(stop=stop_after_attempt(9), wait=wait_none()),
    )
    once.attach("sync")
    often.attach(flaky.functions["run_async"])
    with FunctionAppClient(flaky.app, extensions=[once, often]) as client:
        assert isinstance(client.get("/api/sync").error, ConnectionError)
        assert client.get("/api/async").text == "after 4"
        flaky.calls = 0
        assert isinstance(client.trigger("on_message", "m").error, ConnectionError)
        assert flaky.calls == 1


def test_messages_are_taken_again_within_their_invocation(run):
    flaky = Flaky()
    client = run(flaky, RetryExtension(triggers="queueTrigger", wait=wait_none()))
    assert client.trigger("on_message", "m").succeeded
    assert flaky.calls == 3
    flaky.calls = 0
    assert isinstance(client.get("/api/sync").error, ConnectionError)


def test_while_one_waits_others_run(run):
    """The wait of the first is as long as the calls of the second take."""
    flaky, others = Flaky(failures=1), []
    waiting = threading.Event()
    done = threading.Event()

    async def sleep(seconds):
        waiting.set()
        await asyncio.to_thread(done.wait, 10)

    client = run(flaky, RetryExtension(include="run_async", wait=wait_fixed(60), sleep=sleep))
    first = threading.Thread(target=lambda: others.append(client.get("/api/async").text))
    first.start()
    assert waiting.wait(10)
    assert client.get("/api/sync").text == "after 2"
    done.set()
    first.join()
    assert others == ["after 3"]


def test_the_policys_own_callback_is_called():
    seen = []

    async def before_sleep(state):
        seen.append(state.attempt_number)

    flaky = Flaky()
    retry = RetryExtension(include="*", wait=wait_none(), before_sleep=before_sleep)
    with FunctionAppClient(flaky.app, extensions=[retry]) as client:
        assert client.get("/api/sync").text == "after 3"
    assert seen == [1, 2]


def test_what_is_no_policy_is_refused_where_it_is_made():
    with pytest.raises(TypeError, match="attempts"):
        RetryExtension(include="*", attempts=3)


class TestFromSettings:
    SOURCE = """
import azure.functions as func
app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
calls = []

@app.route("prices")
def Prices(req: func.HttpRequest) -> str:
    calls.append("Prices")
    raise ConnectionError(f"call {len(calls)}")

@app.route("orders")
def Orders(req: func.HttpRequest) -> str:
    raise ConnectionError("one call")
"""

    @pytest.fixture
    def open_client(self, function_app_client, function_app_folder):
        folder = function_app_folder({"function_app.py": self.SOURCE})
        retry = {"WORKER_EXT_EXTENSIONS": "retry", "WORKER_EXT_RETRY__FIRST_WAIT": "0"}
        return lambda **settings: function_app_client(folder, settings={**retry, **settings})

    def test_an_app_need_not_import_it(self, open_client):
        client = open_client(WORKER_EXT_RETRY__INCLUDE="Pri*", WORKER_EXT_RETRY__TRIES="4")
        assert str(client.get("/api/prices").error) == "call 4"
        assert not [line for line in client.get("/api/orders").messages if line.startswith("Try ")]

    @pytest.mark.parametrize("settings", [{}, {"INCLUDE": "*", "TRIES": "0"}, {"TRIGGERS": "http", "TRIES": "many"}])
    def test_what_would_do_nothing_is_refused(self, open_client, settings):
        with pytest.raises(ConfigurationError, match="WORKER_EXT_RETRY__"):
            open_client(**{f"WORKER_EXT_RETRY__{name}": value for name, value in settings.items()})


def test_configuring_it_again_replaces_the_policy():
    flaky = Flaky(failures=9)
    told = [
        lambda: RetryExtension.configure(include=["*"], tries=5, first_wait=0),
        lambda: RetryExtension.configure(triggers=["http"], tries=2, first_wait=0),
    ]
    with FunctionAppClient(flaky.app, extensions=told) as client:
        assert str(client.get("/api/sync").error) == "try 2"
        flaky.calls = 0
        assert str(client.trigger("on_message", "m").error) == "try 1"
