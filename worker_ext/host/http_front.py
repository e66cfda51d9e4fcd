"""HTTP requests become invocations here, and their results answers."""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from http import HTTPStatus
from typing import Any

from ..errors import FunctionTimeout, InvocationError, WorkerBusy
from ..runtimes.azure.http_payload import decode_response, encode_request
from ..transports.http1 import Exchange
from .app_settings import AppSettings
from .call import Call, CallOutcome, FunctionFailed, Result
from .console import Console
from .cors import Cors, Headers
from .functions import HostedApp, HostedFunction, check_http
from .invoker import Invoker
from .keys import KeyStore, Level, presented_key, required_level
from .site import Site, is_admin
from .streamed_requests import Relay, StreamedRequest

_TEXT: Headers = [(b"content-type", b"text/plain; charset=utf-8")]

_EARLY_REQUESTS = 1000
"""The most requests that wait for the app to be loaded."""


class HttpFront:
    """Answers HTTP requests.

    :param invoker: runs the invocations.
    :param console: told of answers that cannot be sent.
    :param settings: the app's settings.
    :param site: answers what is for the host itself.
    :param keys: the keys that functions ask for; ``None`` if none are checked.
    :raises ConfigurationError: if a setting cannot be used.
    :ivar app: the edition of the app that is served; ``None`` until one has been loaded.
    """

    def __init__(
        self,
        invoker: Invoker,
        console: Console,
        settings: AppSettings,
        site: Site,
        keys: KeyStore | None,
        *,
        scheme: str = "http",
    ) -> None:
        self._invoker = invoker
        self._console = console
        self._site = site
        self._keys = keys
        self._scheme = scheme.encode()
        self._early: deque[tuple[float, Exchange]] = deque()
        self._running = 0
        self._waiting: deque[tuple[Exchange, HostedFunction, dict[str, str]]] = deque()
        self._is_resuming = False
        self._relay = Relay(self._fail, self._dress)
        self.app: HostedApp | None = None
        self.apply(settings)

    def apply(self, settings: AppSettings) -> None:
        """Follow these settings from now on.

        :raises ConfigurationError: if one cannot be used; then those before stay in force.
        """
        http = settings.host.http
        check_http(settings.host)
        self._cors = Cors(settings.cors, credentials=settings.cors_credentials)
        self._development = settings.development
        self._greets = settings.homepage
        self._outstanding = http.max_outstanding_requests
        self._concurrent = http.max_concurrent_requests
        self._custom = [(name.lower().encode(), value.encode("latin-1")) for name, value in http.custom_headers.items()]
        self._refusal = ""  # why requests cannot wait for the app

    def handle(self, exchange: Exchange) -> None:
        """Answer one request, now or when its invocation has ended."""
        app = self.app
        if self._cors and not is_admin(exchange.path):
            preflight = self._cors.preflight(exchange.method, dict(exchange.headers))
            if preflight is not None:
                exchange.respond(204, preflight, b"")
                return
        match = app.router.match(exchange.method, exchange.path) if app is not None else None
        if match is not None:
            if self._keys is not None and not self._is_opened(match.target, self._keys, exchange):
                self._respond(exchange, 401, [], b"")
            elif self._outstanding is not None and self._running + len(self._waiting) >= self._outstanding:
                self._respond(exchange, 429, [], b"")
            elif self._concurrent is not None and self._running >= self._concurrent:
                self._wait(exchange, match.target, match.values)
            else:
                self._invoke(exchange, match.target, match.values)
        elif self._site.handle(exchange):
            pass
        elif app is None:
            self._keep(exchange)
        elif exchange.path == "/" and self._greets:
            self._respond_text(exchange, 200, "Your function app is up and running.\n")
        elif exchange.path == "/":
            self._respond(exchange, 204, [], b"")
        else:
            self._respond(exchange, 404, [], b"")

    def streams(self, exchange: Exchange) -> bool:
        """Whether a function wants the body of a request as it comes."""
        app = self.app
        if app is None or not app.streams:
            return False
        match = app.router.match(exchange.method, exchange.path)
        return match is not None and match.target.streams

    async def close(self) -> None:
        """Close the connections that streamed requests are relayed over."""
        await self._relay.close()

    def serve(self, app: HostedApp) -> None:
        """Serve an edition of the app, beginning with the requests that came before it was there."""
        self.app = app
        early, self._early = self._early, deque()
        for _, exchange in early:
            self.handle(exchange)

    def refuse(self, reason: str) -> None:
        """Let no request wait for the app, which cannot be loaded as it is."""
        self._refusal = reason
        self.expire(0, reason)

    def expire(self, limit: float, reason: str) -> None:
        """Answer the requests that have waited for the app for more than ``limit`` seconds."""
        now = time.monotonic()
        while self._early and now - self._early[0][0] >= limit:
            _, exchange = self._early.popleft()
            self._respond_text(exchange, 503, reason)

    def _keep(self, exchange: Exchange) -> None:
        if self._refusal:
            self._respond_text(exchange, 503, self._refusal)
        elif len(self._early) >= _EARLY_REQUESTS:
            self._respond_text(exchange, 503, "the function app is still being loaded, and too many requests wait")
        else:
            self._early.append((time.monotonic(), exchange))

    def _is_opened(self, function: HostedFunction, keys: KeyStore, exchange: Exchange) -> bool:
        """Whether a request has the key that a function asks for."""
        required = required_level(str(function.trigger.get("authLevel", "function")))
        return required is Level.ANONYMOUS or keys.level(presented_key(exchange), function.name) >= required

    def _invoke(self, exchange: Exchange, function: HostedFunction, route: dict[str, str]) -> None:
        host = next((value for name, value in exchange.headers if name == b"host"), b"localhost")
        url = b"%s://%s%s" % (self._scheme, host, exchange.target)
        payload = encode_request(exchange.method, url, route, exchange.body, exchange.headers)
        self._running += 1
        names = _names(exchange, route) if function.is_bound else None
        if function.streams:
            streamed = StreamedRequest(self._relay, exchange)
            reply = partial(self._reply_streamed, streamed)
            self._invoker.invoke(function, payload, reply, names=names, begun=streamed.begun)
        else:
            self._invoker.invoke(function, payload, partial(self._reply, exchange), names=names)

    def _wait(self, exchange: Exchange, function: HostedFunction, route: dict[str, str]) -> None:
        """Keep a request until fewer are running than ``maxConcurrentRequests``, or its client leaves."""
        entry = (exchange, function, route)
        self._waiting.append(entry)

        def forget() -> None:
            if entry in self._waiting:
                self._waiting.remove(entry)

        exchange.on_disconnect = forget

    def _resume(self) -> None:
        """Run what waits, as far as the limit allows; an invocation that fails at once comes back here."""
        if self._is_resuming:
            return
        self._is_resuming = True
        while self._waiting and (self._concurrent is None or self._running < self._concurrent):
            self._invoke(*self._waiting.popleft())
        self._is_resuming = False

    def _freed(self) -> None:
        self._running -= 1
        if self._waiting:
            self._resume()

    def _reply_streamed(self, streamed: StreamedRequest, call: Call, outcome: CallOutcome) -> None:
        self._freed()
        streamed.replied(call, outcome)

    def _reply(self, exchange: Exchange, call: Call, outcome: CallOutcome) -> None:
        self._freed()
        if not isinstance(outcome, Result):
            self._fail(exchange, outcome)
            return
        try:
            headers, body = decode_response(outcome.parts)
            self._respond(exchange, outcome.status, headers, body)
        except (LookupError, ValueError) as error:  # a header, or a status, that HTTP cannot carry
            self._console.error(f"The answer of {call.function} cannot be sent: {error}")
            self._respond_text(exchange, 500, f"The answer of {call.function} cannot be sent: {error}")

    def _fail(self, exchange: Exchange, error: InvocationError) -> None:
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

    def _dress(self, exchange: Exchange, headers: Headers) -> Headers:
        """Add to an answer what the settings add to all."""
        if self._cors:
            headers = self._cors.allow(dict(exchange.headers), headers)
        return headers + self._custom if self._custom else headers

    def _respond(self, exchange: Exchange, status: int, headers: Headers, body: bytes) -> None:
        if not exchange.respond(status, self._dress(exchange, headers), body):
            self._console.detail(f"The client of {exchange.method} {exchange.path} left before its answer.")


def _names(exchange: Exchange, route: dict[str, str]) -> dict[str, Any]:
    """What the function's binding expressions can name."""
    from .bindings.http_data import http_data  # few functions need it

    return http_data(exchange, route)


def error_page(status: int, message: str) -> tuple[Headers, bytes]:
    """What a request is told that never became an invocation: malformed, too large, too slow."""
    return _TEXT, f"{status} {HTTPStatus(status).phrase}: {message}\n".encode()
