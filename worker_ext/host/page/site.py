"""Serves the page: its files, what it asks, and the events that keep it up to date."""

from __future__ import annotations

import hmac
import re
import secrets
from pathlib import Path
from typing import Any

from ... import __version__
from ...transports.http1 import Exchange, Header
from ..access import Access
from ..answers import answer_empty, answer_json, answer_text, header
from ..functions import HostedFunction
from ..invoker import Invoker
from ..status import HostStatus
from ..supervisor import Supervisor
from .feed import Feed
from .functions import describe_function
from .recorder import Record, Recorder

_STATIC = Path(__file__).parent / "static"
_TYPES = {".html": b"text/html", ".css": b"text/css", ".js": b"text/javascript", ".svg": b"image/svg+xml"}
_PREFIX = "/admin/page/"
_INVOCATION = re.compile(r"invocations/([0-9a-f-]{36})")

_SAFETY: list[Header] = [
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
]
"""Nothing is loaded from elsewhere, nobody else shows the page in a frame, and no text becomes code in it."""

_TOKEN = b"x-page-token"
"""The header that proves that a request comes from a page that this host has served: no other site can read one."""


class Page:
    """The page of one host. Nothing is recorded before it is opened for the first time.

    :param status: what the host is doing.
    :param access: who may use it.
    :param invoker: whose invocations it shows.
    :param supervisor: the workers, which are asked for timelines once the page has been opened.
    :param with_keys: whether the admin API asks for the master key, and so must the page.
    """

    def __init__(
        self, status: HostStatus, access: Access, invoker: Invoker, supervisor: Supervisor, *, with_keys: bool
    ) -> None:
        self._status = status
        self._access = access
        self._invoker = invoker
        self._supervisor = supervisor
        self._with_keys = with_keys
        self._token = secrets.token_urlsafe(32)
        self._recorder: Recorder | None = None
        self._files: dict[str, tuple[bytes, bytes]] = {}
        self._feed = Feed(self._snapshot, lambda: self._record().recent(), self._tick)

    def is_for(self, exchange: Exchange) -> bool:
        """Whether a request is for the page: at its own address, or a browser's at the root.

        What is at the root is not known before the app has been loaded, which may have a function there.
        """
        if exchange.path == "/":
            asks_for_page = exchange.method in ("GET", "HEAD") and "text/html" in header(exchange, b"accept")
            return asks_for_page and self._status.state != "Starting" and self._access.is_local(exchange)
        return exchange.path.startswith(_PREFIX)

    def handle(self, exchange: Exchange) -> None:
        """Answer a request for the page."""
        name = exchange.path.removeprefix(_PREFIX).removeprefix("/")
        if not self._access.is_local(exchange):
            answer_text(exchange, 403, "This page is for this machine only.")
        elif name == "events" or name.startswith("invocations/"):
            self._ask(exchange, name)
        elif exchange.method not in ("GET", "HEAD"):
            answer_empty(exchange, 405)
        elif not name:
            self._serve(exchange, "index.html")
        elif self._access.is_from_elsewhere(exchange):
            answer_text(exchange, 403, "This request was sent by another web site.")
        else:
            self._serve(exchange, name)

    def app_changed(self) -> None:
        """Tell the pages what is served from now on, or why nothing is."""
        if self._recorder is not None:
            self._feed.tell("app", self._app())

    def close(self) -> None:
        """Let the pages go."""
        self._feed.close()

    def _ask(self, exchange: Exchange, name: str) -> None:
        """Answer what a page's script asks."""
        if not hmac.compare_digest(header(exchange, _TOKEN).encode(), self._token.encode()):
            answer_text(exchange, 403, "This is for the page that this host has served; load it anew.")
            return
        refusal = self._access.refusal(exchange)
        if refusal is not None:
            answer_text(exchange, *refusal)
            return
        if exchange.method != "GET":
            answer_empty(exchange, 405)
            return
        recorder = self._record()
        if name == "events":
            if not self._feed.follow(exchange):
                answer_text(exchange, 503, "Too many pages are open.")
            return
        match = _INVOCATION.fullmatch(name)
        record = recorder.get(match[1]) if match else None
        if record is None:
            answer_empty(exchange, 404)
        else:
            answer_json(exchange, 200, record.detail())

    def _record(self) -> Recorder:
        if self._recorder is None:
            self._recorder = Recorder(self._status.script_root, self._record_changed)
            self._invoker.add_listener(self._recorder)
            self._supervisor.record_timelines()
        return self._recorder

    def _record_changed(self, record: Record) -> None:
        self._feed.changed(record.id, record.summary)

    def _snapshot(self) -> list[tuple[str, Any]]:
        recorder = self._record()
        return [
            ("app", self._app()),
            ("recent", recorder.recent()),
            ("rates", {"history": recorder.rates.history(), "functions": recorder.rates.functions()}),
        ]

    def _tick(self) -> list[tuple[str, Any]]:
        rates = self._record().rates
        return [
            ("rates", {"history": rates.history()[-1:], "functions": rates.functions()}),
            (
                "workers",
                {"workers": [worker.pid for worker in self._supervisor.serving], "running": self._supervisor.running},
            ),
        ]

    def _app(self) -> dict[str, Any]:
        status, app = self._status, self._status.app
        return {
            "name": status.script_root.name,
            "folder": str(status.script_root),
            "state": status.state,
            "problem": status.problem,
            "version": __version__,
            "python": status.python,
            "base": status.base,
            "recordingSince": self._record().begun,
            "functions": [self._described(each) for each in app.functions] if app else [],
            "disabled": app.disabled if app else [],
            "problems": app.problems if app else [],
            "extensions": app.extensions if app else [],
        }

    def _described(self, function: HostedFunction) -> dict[str, Any]:
        return describe_function(function, self._status.script_root, self._status.route_prefix)

    def _serve(self, exchange: Exchange, name: str) -> None:
        found = self._file(name)
        if found is None:
            answer_empty(exchange, 404)
            return
        kind, content = found
        exchange.respond(200, [(b"content-type", kind + b"; charset=utf-8"), *_SAFETY], content)

    def _file(self, name: str) -> tuple[bytes, bytes] | None:
        """Type and content of a file of the page; only what is listed in its folder can be had."""
        if not self._files:
            for file in _STATIC.iterdir():
                self._files[file.name] = _TYPES[file.suffix], file.read_bytes()
            kind, index = self._files["index.html"]
            index = index.replace(b"{{token}}", self._token.encode())
            self._files["index.html"] = kind, index.replace(b"{{keys}}", b"yes" if self._with_keys else b"no")
        return self._files.get(name)
