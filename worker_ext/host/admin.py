"""The admin API: what the Functions host offers below ``/admin``, for tools and for the page.

Paths, status codes and shapes are those of Azure/azure-functions-host, ``src/WebJobs.Script.WebHost/Controllers``:
``FunctionsController.cs``, ``HostController.cs`` and ``KeysController.cs``.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, unquote

from .. import __version__
from ..transports.http1 import Exchange
from .access import Access
from .admin_keys import Handlers, KeysApi
from .answers import answer_empty, answer_json, answer_text
from .by_hand import ByHand
from .functions import HostedFunction
from .health import HealthApi
from .keys import KeyStore
from .status import HostStatus

_URL = ":/?#[]@!$&'()*+,;={}%"  # what stays as it is in a URL


class Admin:
    """Answers requests to the admin API.

    :param status: what the host is doing.
    :param access: who may use it.
    :param by_hand: runs functions by hand.
    :param running: tells how many invocations are running or waiting.
    :param keys: the keys of the app.
    :param drain: is told to stop the triggers (``True``) or to start them anew.
    :param health: asks the workers how they are.
    """

    def __init__(
        self,
        status: HostStatus,
        access: Access,
        by_hand: ByHand,
        running: Callable[[], int],
        keys: KeyStore,
        drain: Callable[[bool], None],
        health: HealthApi,
    ) -> None:
        self._status = status
        self._access = access
        self._by_hand = by_hand
        self._running = running
        self._set_draining = drain
        routes: dict[str, Handlers] = {
            "/functions": {"GET": self._list},
            "/functions/([^/]+)": {"GET": self._get, "POST": self._run},
            "/functions/([^/]+)/status": {"GET": self._function_status},
            "/host/status": {"GET": self._host_status},
            "/host/ping": {"GET": self._ping, "POST": self._ping},
            "/host/drain": {"POST": self._drain},
            "/host/drain/status": {"GET": self._drain_status},
            "/host/resume": {"POST": self._resume},
            **health.routes(),
            **KeysApi(keys, self._function).routes(),
        }
        self._routes = [(re.compile(f"/admin{path}", re.IGNORECASE), handlers) for path, handlers in routes.items()]

    def handle(self, exchange: Exchange) -> None:
        """Answer a request to the admin API."""
        path = exchange.path.rstrip("/")
        matches = ((pattern.fullmatch(path), methods) for pattern, methods in self._routes)
        found = next(((match, methods) for match, methods in matches if match), None)
        if found is None:
            answer_empty(exchange, 404)
            return
        match, methods = found
        # Whether the host is there is nobody's secret, and load balancers ask without a key.
        refusal = None if path.lower().endswith("/host/ping") else self._access.refusal(exchange)
        if refusal is not None:
            answer_text(exchange, *refusal)
        elif exchange.method not in methods:
            answer_empty(exchange, 405)
        else:
            methods[exchange.method](exchange, *map(unquote, match.groups()))

    # Functions

    def _list(self, exchange: Exchange) -> None:
        app = self._status.app
        answer_json(exchange, 200, [self._describe(function) for function in app.functions] if app else [])

    def _get(self, exchange: Exchange, name: str) -> None:
        function = self._function(name)
        if function is None:
            answer_empty(exchange, 404)
        else:
            answer_json(exchange, 200, self._describe(function))

    def _function_status(self, exchange: Exchange, name: str) -> None:
        app = self._status.app
        errors = app.errors.get(name.lower()) if app is not None else None
        if errors is not None:
            answer_json(exchange, 200, {"errors": errors})
        elif self._function(name) is None:
            answer_empty(exchange, 404)
        else:
            answer_json(exchange, 200, {})

    def _run(self, exchange: Exchange, name: str) -> None:
        try:
            document = json.loads(exchange.body)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            answer_text(exchange, 400, 'The body must be a JSON object: {"input": …}.')
            return
        function = self._function(name)
        if self._status.app is None:
            answer_text(exchange, 503, self._status.problem or "The function app is still being loaded.")
        elif function is None:
            answer_empty(exchange, 404)
        else:
            value = next((document[key] for key in document if key.lower() == "input"), "")
            self._by_hand.run(function, value, quote(self._status.url_of(function), safe=_URL).encode())
            answer_empty(exchange, 202)

    # The host

    def _host_status(self, exchange: Exchange) -> None:
        status = self._status
        described: dict[str, Any] = {
            "id": status.id,
            "state": status.state,
            "version": __version__,
            "versionDetails": f"worker-ext local host {__version__}",
            "processUptime": int((time.monotonic() - status.started) * 1000),
        }
        if status.problem:
            described["errors"] = [status.problem]
        answer_json(exchange, 200, described)

    def _ping(self, exchange: Exchange) -> None:
        answer_empty(exchange, 200)

    def _drain(self, exchange: Exchange) -> None:
        self._set_draining(True)
        answer_empty(exchange, 202)

    def _drain_status(self, exchange: Exchange) -> None:
        running = self._running()
        state = "Disabled" if not self._status.draining else "InProgress" if running else "Completed"
        answer_json(exchange, 200, {"state": state, "outstandingInvocations": running, "outstandingRetries": 0})

    def _resume(self, exchange: Exchange) -> None:
        if self._status.state != "Running":
            answer_empty(exchange, 409)
            return
        self._set_draining(False)
        answer_json(exchange, 200, {"state": self._status.state})

    # Helpers

    def _function(self, name: str) -> HostedFunction | None:
        app = self._status.app
        if app is None:
            return None
        return next((function for function in app.functions if function.name.lower() == name.lower()), None)

    def _describe(self, function: HostedFunction) -> dict[str, Any]:
        base = self._status.base
        return {
            "name": function.name,
            "script_root_path_href": None,
            "script_href": None,
            "config_href": None,
            "test_data_href": None,
            "href": f"{base}/admin/functions/{function.name}",
            "invoke_url_template": self._status.url_of(function).lower() if function.is_http else None,
            "language": "python",
            "config": {
                "name": function.name,
                "scriptFile": function.file,
                "language": "python",
                "bindings": [dict(binding) for binding in function.bindings],
            },
            "files": None,
            "test_data": None,
            "isDisabled": False,
            "isDirect": False,
            "isProxy": False,
        }
