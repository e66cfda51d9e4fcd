"""The clients that tests call apps with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar

from ..errors import ConfigurationError
from ..invocation import LogRecord
from ..runtimes.azure.bindings import BoundFunction
from ..runtimes.azure.http_payload import decode_response, encode_request
from ..runtimes.azure.trigger_payload import Retry, encode_trigger
from ..runtimes.failure import user_traceback
from .app import AppSource, LocalApp, not_open
from .clock import Clock
from .http import BASE_URL, encode_http
from .inputs import decode_outputs, encode_inputs, metadata_for, unknown_inputs
from .portal import Portal
from .result import Headers, InvocationResult, Response
from .stage import stage

T = TypeVar("T")
Answered = TypeVar("Answered")
Invoked = TypeVar("Invoked")
Passed = TypeVar("Passed")


class _Client(ABC, Generic[Answered, Invoked, Passed]):
    """What both clients can do; they differ in how one waits."""

    def __init__(
        self,
        app: AppSource,
        *,
        settings: Mapping[str, str] | None = None,
        clock: Clock | datetime | None = None,
        extensions: Sequence[Any] | None = None,
    ) -> None:
        self.clock = clock if isinstance(clock, Clock) else Clock(clock)
        self._app = LocalApp(app, settings or {}, extensions, self.clock)

    @property
    def functions(self) -> list[str]:
        """The names of the app's functions."""
        return self._app.functions

    @property
    def extensions(self) -> list[str]:
        """The names of the extensions whose hooks can run."""
        return self._app.extensions

    @property
    def logs(self) -> list[LogRecord]:
        """The lines that belong to no invocation, such as those of load hooks."""
        return self._app.logs

    @abstractmethod
    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Any:
        """Run ``work()`` on the app's loop while its world is shown, and give what it returns, or a way to await it."""

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None,
        headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None,
        content: bytes | str | None = None,
        json: Any = None,
        data: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Send an HTTP request to whichever function has the route.

        :param method: the HTTP method.
        :param url: a path such as ``/api/hello?name=Ada``, or a whole URL.
        :param params: what is added to the query.
        :param headers: the request's headers.
        :param content: the body.
        :param json: the body, to be sent as JSON.
        :param data: the body, to be sent as a form.
        """
        sent = encode_http(method, url, params=params, headers=headers, content=content, json=json, data=data)

        async def work() -> Response:
            match = self._app.match(sent.method, sent.path)
            if match is None:
                return Response(status_code=404)
            result, answer = await self._app.invoke(match.target, sent.payload(match.values), {}, Response())
            if answer is None:
                assert result.error is not None
                result.status_code, result.content = 500, user_traceback(result.error).encode(errors="replace")
                result.headers = Headers([("content-type", "text/plain; charset=utf-8")])
                return result
            found, result.content = decode_response(answer.parts)
            result.status_code = answer.status
            result.headers = Headers([(name.decode(), value.decode(errors="replace")) for name, value in found])
            result.outputs = decode_outputs(answer.outputs)
            return result

        answered: Answered = self._run(work)
        return answered

    def get(self, url: str, **options: Any) -> Answered:
        """Send a GET request; the options are those of :meth:`request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Answered:
        """Send a POST request; the options are those of :meth:`request`."""
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Answered:
        """Send a PUT request; the options are those of :meth:`request`."""
        return self.request("PUT", url, **options)

    def patch(self, url: str, **options: Any) -> Answered:
        """Send a PATCH request; the options are those of :meth:`request`."""
        return self.request("PATCH", url, **options)

    def delete(self, url: str, **options: Any) -> Answered:
        """Send a DELETE request; the options are those of :meth:`request`."""
        return self.request("DELETE", url, **options)

    def invoke(
        self,
        name: str,
        inputs: Mapping[str, Any] | None = None,
        /,
        *,
        metadata: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
        **values: Any,
    ) -> Invoked:
        """Run a function with these inputs, whatever its trigger is.

        Text, bytes and what JSON can carry come to the function as the host would send them: converted to what its
        parameters are annotated with. Any other object is given to it as it is.

        :param name: the function's name.
        :param inputs: its inputs by name, for names that cannot be keywords.
        :param metadata: what the trigger knows besides its data, such as ``{"DequeueCount": 3}`` of a queue.
        :param retry: where the invocation stands in the function's retry policy.
        :param values: its inputs by name.
        :raises ConfigurationError: if there is no such function, or it has no such input.
        """

        async def work() -> InvocationResult:
            return await self._invoke(self._app.bound(name), {**(inputs or {}), **values}, metadata or {}, retry)

        invoked: Invoked = self._run(work)
        return invoked

    def trigger(
        self,
        name: str,
        data: Any = None,
        /,
        *,
        past_due: bool | None = None,
        metadata: Mapping[str, Any] | None = None,
        retry: Retry | None = None,
        **values: Any,
    ) -> Invoked:
        """Run a function as its trigger would.

        :param name: the function's name.
        :param data: what the trigger gives: a queue's message, a blob's content. A timer needs none.
        :param past_due: whether a timer is late. If left out, it is if its time by the client's clock has passed.
        :param metadata: see :meth:`invoke`.
        :param retry: see :meth:`invoke`.
        :param values: the function's other inputs by name.
        :raises ConfigurationError: if there is no such function, or its trigger needs data.
        """

        async def work() -> InvocationResult:
            bound = self._app.bound(name)
            binding = bound.trigger.binding
            given = data
            if binding.type == "timerTrigger" and data is None:
                given = self._app.timers.fire(bound.function.name, past_due)
            if given is None and bound.is_http:
                raise _needs_a_request(name)
            if given is None:
                raise ConfigurationError(
                    f"a {binding.type} gives data, and trigger({name!r}) says none",
                    hint=f"Say it after the name, as in  client.trigger({name!r}, 'the data')",
                )
            return await self._invoke(bound, {binding.name: given, **values}, metadata or {}, retry)

        invoked: Invoked = self._run(work)
        return invoked

    def advance(self, by: timedelta | None = None, **units: float) -> Passed:
        """Let time pass: the clock moves on, and the timers that are due meanwhile run, each at its time.

        :param by: how much time; or say it in units, as in ``advance(hours=1)``.
        :param units: what :class:`datetime.timedelta` takes.
        :returns: how their invocations ended, in order.
        """

        async def work() -> list[InvocationResult]:
            until, results = self.clock.now() + (by or timedelta()) + timedelta(**units), []
            while (due := self._app.timers.due(until)) is not None:
                moment, name = due
                self.clock.set(max(moment, self.clock.now()))
                bound = self._app.bound(name)
                data = {bound.trigger.binding.name: self._app.timers.fire(name, None)}
                results.append(await self._invoke(bound, data, {}, None))
            self.clock.set(until)
            return results

        passed: Passed = self._run(work)
        return passed

    async def _invoke(
        self, bound: BoundFunction, values: Mapping[str, Any], metadata: Mapping[str, Any], retry: Retry | None
    ) -> InvocationResult:
        name = bound.function.name
        if unknown := unknown_inputs(bound, values):
            raise ConfigurationError(
                f"{name} has no input {unknown[0]!r}", hint=f"It has: {', '.join(bound.inputs) or 'none'}."
            )
        sent, given = encode_inputs(bound, values)
        if bound.is_http:
            payload = encode_request("GET", BASE_URL.encode(), None, b"", [])
            if sent:
                raise _needs_a_request(name)
        else:
            known = {**metadata_for(bound.trigger.binding, self.clock), **metadata}
            payload = encode_trigger(sent, metadata=known, retry=retry)
        result, answer = await self._app.invoke(name, payload, given, InvocationResult())
        if answer is not None:
            result.outputs = decode_outputs(answer.outputs)
        return result


def _needs_a_request(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} is started by an HTTP request",
        hint="Send one, as in client.get('/api/…'), or give it an azure.functions.HttpRequest.",
    )


class FunctionAppClient(_Client[Response, InvocationResult, list[InvocationResult]]):
    """Runs a function app in this process, with its extensions, and calls its functions::

        with FunctionAppClient("path/to/app") as client:
            response = client.get("/api/HttpTrigger", params={"name": "Ada"})
            assert response.text.startswith("Hello, Ada.")

    The functions run as in every worker of this package: sync ones on pool threads, async ones on an event loop, which
    runs in a thread of its own. Several threads may call one client.

    :param app: the app's folder, whose modules are imported anew for this client, and the packages of its extensions
        with them; or a module that has been imported, or an ``azure.functions.FunctionApp``, which run as they are.
    :param settings: the app's settings: environment variables while the client is open. ``local.settings.json`` is not
        read, as it is different on every machine. Extensions are on unless ``PYTHON_ENABLE_WORKER_EXTENSIONS`` is set.
    :param clock: the time that triggers go by, or the :class:`Clock` that shows it.
    :param extensions: extensions that run: application-level classes, function-level instances, and functions that make
        one or configure one for this client, such as a :class:`RecordingExtension`, which are called in turn. If left
        out, those that the app imports; for a module or an app object, those that the modules of its functions define
        or import.
    :raises ConfigurationError: if ``app`` is no app.
    """

    _portal: Portal | None = None

    def __enter__(self) -> FunctionAppClient:
        """Load the app.

        :raises IndexingError: if it, or one of its functions, cannot be loaded.
        """
        self._open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Wait for what is running, and leave the process as it was."""
        portal, self._portal = self._portal, None
        if portal is not None:
            with stage.turn(self._app.world):
                try:
                    portal.run(self._app.close())
                finally:
                    portal.stop()
                    stage.remove(self._app.world)

    def _open(self) -> Portal:
        if self._portal is None:
            with stage.turn(self._app.world, opens=True):
                portal = Portal()
                try:
                    portal.run(self._app.load())
                except BaseException:
                    portal.stop()
                    raise
                self._portal = portal
        return self._portal

    def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        portal = self._open()
        with stage.turn(self._app.world):
            return portal.run(work())


class AsyncFunctionAppClient(
    _Client[Awaitable[Response], Awaitable[InvocationResult], Awaitable[list[InvocationResult]]]
):
    """The same for tests that are coroutines: async functions run on the test's own loop::

        async with AsyncFunctionAppClient("path/to/app") as client:
            response = await client.get("/api/HttpTrigger")

    It takes what :class:`FunctionAppClient` takes.
    """

    _is_open = False

    async def __aenter__(self) -> AsyncFunctionAppClient:
        """Load the app.

        :raises IndexingError: if it, or one of its functions, cannot be loaded.
        """
        if not self._is_open:
            async with stage.async_turn(self._app.world, opens=True):
                await self._app.load()
            self._is_open = True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Wait for what is running, and leave the process as it was."""
        if not self._is_open:
            return
        self._is_open = False
        async with stage.async_turn(self._app.world):
            try:
                await self._app.close()
            finally:
                stage.remove(self._app.world)

    async def _run(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        if not self._is_open:
            raise not_open()
        async with stage.async_turn(self._app.world):
            return await work()
