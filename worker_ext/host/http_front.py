"""HTTP requests become invocations here, and their results answers."""

from __future__ import annotations

import time
from functools import partial
from http import HTTPStatus
from uuid import uuid4

from ..errors import FunctionTimeout, InvocationError, WorkerBusy
from ..runtimes.azure.http_payload import decode_response, encode_request
from ..transports.http1 import Exchange
from .call import Call, FunctionFailed, Result
from .console import Console
from .cors import Cors, Headers
from .functions import HostedApp, HostedFunction
from .supervisor import Supervisor

_TEXT: Headers = [(b"content-type", b"text/plain; charset=utf-8")]
_REASON = "This function was programmatically called via the host APIs."


class HttpFront:
    """Answers HTTP requests.

    :param supervisor: runs the invocations.
    :param console: shows them.
    :param cors: who may send cross-origin requests.
    :param development: whether the client is told what went wrong in a function, traceback included.
    :ivar app: the edition of the app that is served; ``None`` until one has been loaded.
    """

    def __init__(self, supervisor: Supervisor, console: Console, cors: Cors, *, development: bool) -> None:
        self._supervisor = supervisor
        self._console = console
        self._cors = cors
        self._development = development
        self._early: list[tuple[float, Exchange]] = []
        self.app: HostedApp | None = None

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or when its invocation has ended."""
        if self._cors:
            preflight = self._cors.preflight(exchange.method, dict(exchange.headers))
            if preflight is not None:
                exchange.respond(204 if preflight else 403, preflight, b"")
                return
        app = self.app
        if app is None:
            self._keep(exchange)
            return
        match = app.router.match(exchange.method, exchange.path)
        if match is not None:
            self._invoke(exchange, match.target, match.values)
        elif exchange.path == "/":
            self._respond_text(exchange, 200, "Your function app is up and running.\n")
        else:
            self._respond(exchange, 404, [], b"")

    def serve(self, app: HostedApp) -> None:
        """Serve an edition of the app, beginning with the requests that came before it was there."""
        self.app = app
        early, self._early = self._early, []
        for _, exchange in early:
            self.handle(exchange)

    def refuse_early(self, reason: str, *, before: float | None = None) -> None:
        """Answer the requests that came before there was an app: it cannot be loaded, or takes too long.

        :param before: only those that have waited since before this time.
        """
        while self._early and (before is None or self._early[0][0] < before):
            _, exchange = self._early.pop(0)
            self._respond_text(exchange, 503, reason)

    def _keep(self, exchange: Exchange) -> None:
        if len(self._early) >= 1000:
            self._respond_text(exchange, 503, "the function app is still being loaded, and too many requests wait")
        else:
            self._early.append((time.monotonic(), exchange))

    def _invoke(self, exchange: Exchange, function: HostedFunction, route: dict[str, str]) -> None:
        invocation_id = str(uuid4())
        host = next((value for name, value in exchange.headers if name == b"host"), b"localhost")
        url = b"http://%s%s" % (host, exchange.target)
        payload = encode_request(exchange.method, url, route, exchange.body, exchange.headers)
        name = function.name
        self._console.invocation(name, f"Executing 'Functions.{name}' (Reason='{_REASON}', Id={invocation_id})")
        call = Call(name, invocation_id, payload, partial(self._answer, exchange, function))
        self._supervisor.submit(call)

    def _answer(self, exchange: Exchange, function: HostedFunction, call: Call, outcome: Result | InvocationError) -> None:
        elapsed = int((time.monotonic() - call.since) * 1000)
        if not isinstance(outcome, Result):
            self._fail(exchange, call, outcome, elapsed)
            return
        name = call.function
        self._console.invocation(
            name, f"Executed 'Functions.{name}' (Succeeded, Id={call.invocation_id}, Duration={elapsed}ms)"
        )
        for output, _, data in outcome.outputs:
            kind = function.outputs.get(output, "return value")
            self._console.warning(f"The output {output!r} ({kind}, {len(data)} bytes) is not delivered by this host yet.")
        headers, body = decode_response(outcome.parts)
        try:
            self._respond(exchange, outcome.status, headers, body)
        except ValueError as error:  # a header, or a status, that HTTP cannot carry
            self._console.error(f"The answer of {call.function} cannot be sent: {error}")
            self._respond_text(exchange, 500, f"The answer of {call.function} cannot be sent: {error}")

    def _fail(self, exchange: Exchange, call: Call, error: InvocationError, elapsed: int) -> None:
        failed = f"Executed 'Functions.{call.function}' (Failed, Id={call.invocation_id}, Duration={elapsed}ms)"
        if isinstance(error, FunctionFailed):
            self._console.error(f"{failed}\n{error.traceback.rstrip()}")
        else:
            self._console.error(f"{failed}\n{error}")
        text = str(error)
        if isinstance(error, FunctionFailed):
            text = f"{text}\n\n{error.traceback}" if self._development else ""
        status = 503 if isinstance(error, WorkerBusy) else 500
        if isinstance(error, FunctionTimeout) and not self._development:
            text = ""
        if text:
            self._respond_text(exchange, status, text)
        else:
            self._respond(exchange, status, [], b"")

    def _respond_text(self, exchange: Exchange, status: int, text: str) -> None:
        self._respond(exchange, status, _TEXT, text.encode(errors="replace"))

    def _respond(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        if self._cors:
            headers = headers + self._cors.headers(dict(exchange.headers))
        if not exchange.respond(status, headers, body):
            self._console.detail(f"The client of {exchange.method} {exchange.path} left before its answer.")


def error_page(status: int, message: str) -> tuple[Headers, bytes]:
    """What a request is told that never became an invocation: malformed, too large, too slow."""
    return _TEXT, f"{status} {HTTPStatus(status).phrase}: {message}\n".encode()
