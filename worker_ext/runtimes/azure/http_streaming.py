"""HTTP requests that reach the worker by HTTP, as streams, and not inside the host's messages.

``azurefunctions-extensions-http-fastapi`` brings the web server and the types of requests and responses, and registers
them with ``azurefunctions-extensions-base``. The host sends an invocation as ever, and proxies the request to the
server with the invocation's id in a header; whichever comes first waits here for the other.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import sys
from importlib import import_module
from typing import Any

from ...invocation import Invocation, Outcome
from .deferred import BASE
from .http_payload import ID_HEADER

PATIENCE = 60.0
"""Seconds for which an invocation and its request wait for each other."""

EXPECTED_REQUEST = "an app that streams HTTP takes the request type of its package in all HTTP functions"
"""What a function should have been annotated with, as the rest of the sentence."""

_START = 10.0  # seconds that the web server has to listen


def is_installed() -> bool:
    """Whether the app's Python has a package for it; an app need not use it."""
    try:
        return importlib.util.find_spec("azurefunctions.extensions.http") is not None
    except ImportError:
        return False


def is_used() -> bool:
    """Whether the app has imported such a package: then all its HTTP functions are of that kind."""
    base = sys.modules.get(BASE)
    return base is not None and bool(base.HttpV2FeatureChecker.http_v2_enabled())


def takes_request(annotation: Any) -> bool:
    """Whether a parameter may be annotated so."""
    return bool(sys.modules[BASE].RequestTrackerMeta.check_type(annotation))


def gives_response(annotation: Any) -> bool:
    """Whether a function may be annotated to return this."""
    return bool(sys.modules[BASE].ResponseTrackerMeta.check_type(annotation))


class InvocationFailed(Exception):
    """The function of a request has failed; why, the host is told."""


class StreamedRequest:
    """An invocation whose request comes by HTTP (an :class:`~worker_ext.runtimes.arrival.Arrival`).

    :param exchange: where it comes.
    :param invocation: the invocation.
    :param parameter: the name of the argument that the request becomes. Until then it is the request of the host's
        message, which has no body but knows the values of the route.
    """

    def __init__(self, exchange: HttpExchange, invocation: Invocation, parameter: str) -> None:
        self._exchange = exchange
        self._invocation = invocation
        self._parameter = parameter

    async def wait(self) -> None:
        """Wait for the request, and make it the argument.

        :raises TimeoutError: if it does not come.
        """
        arguments = self._invocation.arguments
        route = dict(arguments[self._parameter].route_params)
        arguments[self._parameter] = await self._exchange.request(self._invocation.id, route)

    def ended(self, outcome: Outcome) -> None:
        """Answer the request."""
        self._exchange.respond(self._invocation.id, outcome.value, outcome.error)


class HttpExchange:
    """The requests that have come by HTTP, and the responses that they wait for.

    Everything happens on the loop that it was made on.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._requests: dict[str, asyncio.Future[Any]] = {}
        self._responses: dict[str, asyncio.Future[Any]] = {}
        self._serving: asyncio.Task[None] | None = None
        self._answering = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def serve(self, host: str) -> str:
        """Start the web server of the app's package.

        :param host: the name or number under which the Functions host reaches this machine.
        :returns: the server's URI.
        :raises OSError: if it does not listen.
        """
        base = sys.modules[BASE]
        package = import_module(base.ModuleTrackerMeta.get_module())
        request_type = base.RequestTrackerMeta.get_request_type()

        async def answer(request: Any) -> Any:
            return await self._answer(request)

        answer.__annotations__ = {"request": request_type}  # by which FastAPI knows what to give
        app = package.WebApp()
        app.route(answer)
        with socket.create_server((host, 0)) as free:
            port = free.getsockname()[1]
        server = package.WebServer(host, port, app)
        server.web_app = self._counted(server.web_app)
        for name in ("uvicorn.access", "uvicorn.error"):
            logging.getLogger(name).addFilter(_tells_of_trouble)
        self._serving = self._loop.create_task(server.serve())
        await asyncio.wait_for(self._listening(host, port), _START)
        return f"http://{host}:{port}"

    async def request(self, invocation_id: str, route: dict[str, str]) -> Any:
        """The request of an invocation, when it has come.

        :param route: the values of the route's parameters, which only the host knows.
        :raises TimeoutError: if none comes within :data:`PATIENCE`.
        """
        waiting = self._requests.setdefault(invocation_id, self._loop.create_future())
        try:
            request = await asyncio.wait_for(waiting, PATIENCE)
        except TimeoutError:
            raise TimeoutError(f"the request of the invocation has not come within {PATIENCE:g} s") from None
        finally:
            self._requests.pop(invocation_id, None)
        sys.modules[BASE].RequestTrackerMeta.get_synchronizer().sync_route_params(request, route)
        return request

    def respond(self, invocation_id: str, value: Any, error: BaseException | None) -> None:
        """Answer the request of an invocation. Any thread may call this.

        :param value: what the function returned.
        :param error: what it raised, if it failed.
        """
        self._loop.call_soon_threadsafe(self._respond, invocation_id, value, error)

    async def drain(self) -> None:
        """Wait until every answer has left, also those that go on after their functions have returned."""
        await self._idle.wait()

    def _counted(self, app: Any) -> Any:
        """An ASGI app that counts what is being answered."""

        async def count(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            self._answering += 1
            self._idle.clear()
            try:
                await app(scope, receive, send)
            except InvocationFailed:  # the framework has answered 500, and passes the error on to have it logged
                pass
            finally:
                self._answering -= 1
                if not self._answering:
                    self._idle.set()

        return count

    def _respond(self, invocation_id: str, value: Any, error: BaseException | None) -> None:
        response = self._responses.pop(invocation_id, None)
        if response is None or response.done():  # whoever asked has gone
            return
        if error is None:
            response.set_result(value)
        else:
            response.set_exception(InvocationFailed())

    async def _answer(self, request: Any) -> Any:
        """Give a request to its invocation, and wait for what that makes of it."""
        invocation_id = request.headers.get(ID_HEADER)
        if invocation_id is None:
            raise ValueError(f"the header {ID_HEADER} is missing: only a Functions host can call this server")
        response = self._responses[invocation_id] = self._loop.create_future()
        waiting = self._requests.setdefault(invocation_id, self._loop.create_future())
        if not waiting.done():
            waiting.set_result(request)
        giving_up = self._loop.call_later(PATIENCE, self._give_up, invocation_id)
        try:
            return await response
        finally:
            giving_up.cancel()
            self._responses.pop(invocation_id, None)
            self._requests.pop(invocation_id, None)

    def _give_up(self, invocation_id: str) -> None:
        if invocation_id in self._requests:
            error = TimeoutError(f"the invocation of the request has not come within {PATIENCE:g} s")
            self._respond(invocation_id, None, error)

    async def _listening(self, host: str, port: int) -> None:
        assert self._serving is not None
        while True:
            if self._serving.done():
                raise OSError(f"the web server for streamed requests has ended: {self._serving.exception()!r}")
            try:
                _, writer = await asyncio.open_connection(host, port)
            except OSError:
                await asyncio.sleep(0.01)
                continue
            writer.close()
            return


def _tells_of_trouble(record: logging.LogRecord) -> bool:
    """Whether a line of the web server is about more than that it is there, and is asked."""
    return record.levelno >= logging.WARNING
