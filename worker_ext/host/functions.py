"""The functions of an app as the host knows them: what starts each, where, and why one is not run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigurationError
from ..runtimes.protocol import unpack_error
from .bindings.base import InputBinding, OutputBinding, Scope
from .bindings.registry import make_input, make_output
from .retries import BY_TRIGGER, retry_policy
from .routes import Router
from .settings import HostJson, RetryOptions
from .triggers.base import Trigger
from .triggers.registry import make_trigger

# fmt: off
KNOWN_BINDINGS = frozenset((
    "activityTrigger", "assistantCreate", "assistantPost", "assistantQuery", "assistantSkillTrigger", "blob",
    "blobTrigger", "connectorTrigger", "cosmosDB", "cosmosDBTrigger", "daprBinding", "daprBindingTrigger", "daprInvoke",
    "daprPublish", "daprSecret", "daprServiceInvocationTrigger", "daprState", "daprTopicTrigger", "durableClient",
    "embeddings", "embeddingsStore", "entityTrigger", "eventGrid", "eventGridTrigger", "eventHub", "eventHubTrigger",
    "http", "httpTrigger", "kafka", "kafkaTrigger", "kusto", "mcpPromptTrigger", "mcpResourceTrigger", "mcpToolTrigger",
    "mysql", "mysqlTrigger", "orchestrationTrigger", "orchestrationClient", "queue", "queueTrigger", "rabbitMQ",
    "rabbitMQTrigger", "redis", "redisListTrigger", "redisPubSubTrigger", "redisStreamTrigger", "semanticSearch",
    "sendGrid", "serviceBus", "serviceBusTrigger", "signalR", "signalRConnectionInfo", "signalRTrigger", "sql",
    "sqlTrigger", "table", "textCompletion", "timerTrigger", "twilioSms", "warmupTrigger", "webPubSub",
    "webPubSubConnection", "webPubSubContext", "webPubSubTrigger",
))
# fmt: on
"""The binding types of the real host and of its extension bundle, version 4."""

_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_-]{0,127}", re.IGNORECASE)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*")
_KNOWN_LOWER = {name.lower(): name for name in KNOWN_BINDINGS}


@dataclass
class HostedFunction:
    """One function.

    :ivar name: its name.
    :ivar trigger: its trigger binding's JSON object.
    :ivar inputs: what it is given besides.
    :ivar outputs: what it writes, by name.
    :ivar undelivered: names and types of its outputs that this host has no binding for.
    :ivar retry: when it is tried again after a failure.
    :ivar starter: what watches for what starts it; ``None`` for HTTP, and for what this host does not watch for.
    :ivar bindings: the JSON objects of all its bindings, the trigger's among them.
    :ivar file: the file that defines it.
    :ivar is_async: whether it is an ``async def`` function.
    :ivar streams: whether its requests and responses go through the worker's own web server.
    """

    name: str
    trigger: Mapping[str, Any]
    inputs: list[InputBinding] = field(default_factory=list)
    outputs: dict[str, OutputBinding] = field(default_factory=dict)
    undelivered: dict[str, str] = field(default_factory=dict)
    retry: RetryOptions | None = None
    starter: Trigger | None = None
    bindings: Sequence[Mapping[str, Any]] = ()
    file: str = ""
    is_async: bool = False
    streams: bool = False

    @property
    def is_http(self) -> bool:
        """Whether an HTTP request starts it."""
        return bool(self.trigger["type"] == "httpTrigger")

    @property
    def is_bound(self) -> bool:
        """Whether it has inputs or outputs besides its trigger and an HTTP response."""
        return bool(self.inputs or self.outputs)

    @property
    def methods(self) -> list[str]:
        """The HTTP methods that it takes, upper-case; none means all."""
        return [str(method).upper() for method in self.trigger.get("methods") or ()]

    @property
    def route(self) -> str:
        """Its route without the prefix."""
        route = self.trigger.get("route")
        return self.name if route is None else str(route)


@dataclass
class HostedApp:
    """An edition of the app.

    :ivar functions: the functions that are served, in the order in which people are shown them.
    :ivar router: where their HTTP requests go.
    :ivar problems: why others are not, a text each.
    :ivar warnings: what has no effect here, a text each.
    :ivar disabled: the names of those that are turned off.
    :ivar extensions: the names of the worker extensions.
    :ivar errors: those of ``problems`` that are about one function, by its name in lower case.
    """

    functions: list[HostedFunction]
    router: Router[HostedFunction]
    problems: list[str]
    disabled: list[str]
    extensions: list[str]
    warnings: list[str] = field(default_factory=list)
    errors: dict[str, list[str]] = field(default_factory=dict)

    @property
    def streams(self) -> bool:
        """Whether there are functions that stream."""
        return any(function.streams for function in self.functions)

    def add_problem(self, text: str, function: str | None) -> None:
        """Note why a function is not served, or what else is wrong with the app."""
        self.problems.append(f"The '{function}' function is in error: {text}" if function else text)
        if function:
            self.errors.setdefault(function.lower(), []).append(text)


def host_app(
    description: Mapping[str, Any],
    *,
    route_prefix: str,
    only: Iterable[str],
    environ: Mapping[str, str],
    host: HostJson | None = None,
) -> HostedApp:
    """Decide what of an app is served, and where.

    :param description: the app as its worker describes it.
    :param route_prefix: what HTTP routes begin with.
    :param only: the names of the functions to serve; none means all.
    :param environ: the app's settings; ``AzureWebJobs.NAME.Disabled`` turns a function off.
    :param host: ``host.json``; without it everything that it could say has its default.
    """
    app = HostedApp([], Router(route_prefix), [], [], list(description["extensions"]))
    for fields in description["problems"]:
        problem = unpack_error(fields)
        app.add_problem(f"{problem}\n{problem.detail.rstrip()}" if problem.detail else str(problem), problem.function)
    wanted = {name.lower() for name in only}
    known: set[str] = set()
    for function in description["functions"]:
        name = function["name"]
        if name.lower() in known:
            app.problems.append(f"there are two functions {name!r}; names must differ in more than their case")
            continue
        known.add(name.lower())
        if wanted and name.lower() not in wanted:
            continue
        if _is_disabled(function, environ):
            app.disabled.append(name)
            continue
        try:
            hosted = _host_function(function, Scope(name, environ, host), app.router)
            app.functions.append(hosted)
            app.warnings += _warnings(function, hosted)
        except ConfigurationError as error:
            app.add_problem(str(error), name)
    missing = [name for name in only if name.lower() not in known]
    there = ", ".join(sorted((function["name"] for function in description["functions"]), key=str.casefold)) or "none"
    app.problems += [f"there is no function {name!r}, which is asked for; the app has: {there}" for name in missing]
    app.functions.sort(key=lambda function: (not function.is_http, function.name.casefold()))
    return app


def check_http(host: HostJson) -> None:
    """Check settings that would otherwise only fail when they are used.

    :raises ConfigurationError: if routes cannot begin with ``routePrefix``, or a custom header cannot be sent.
    """
    group = host.settings["extensions"]["http"]
    try:
        Router[None](host.http.route_prefix)
    except ConfigurationError as error:
        prefix = group["routePrefix"]
        raise ConfigurationError(error.message, file=prefix.file, line=prefix.line, hint=error.hint) from None
    for name, value in host.http.custom_headers.items():
        if not _HEADER.fullmatch(f"{name}:{value}"):
            raise group["customHeaders"][name].error("a header that HTTP can carry")


def _host_function(function: Mapping[str, Any], scope: Scope, router: Router[HostedFunction]) -> HostedFunction:
    name, bindings = function["name"], function["bindings"]
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no valid function name: a letter, then up to 127 letters, digits, - and _; not 'host'"
        )
    for binding in bindings:
        _check_type(binding)
    trigger = next(binding for binding in bindings if _is_trigger(binding))
    hosted = HostedFunction(
        name,
        trigger,
        retry=retry_policy(function, trigger["type"], scope.host),
        bindings=bindings,
        file=function.get("file", ""),
        is_async=function.get("isAsync", False),
        streams=function.get("streams", False),
    )
    for binding in bindings:
        if _is_output(binding):
            _add_output(hosted, binding, scope)
        elif not _is_trigger(binding):
            hosted.inputs.append(make_input(binding, scope))
    hosted.starter = make_trigger(trigger, scope)
    if hosted.is_http:
        methods = hosted.trigger.get("methods")
        if methods is not None and not isinstance(methods, list):
            raise ConfigurationError(f'"methods" must be a list such as ["get"], found {methods!r}')
        router.add(hosted.route, hosted.methods, hosted, owner=name)
    return hosted


def _add_output(hosted: HostedFunction, binding: Mapping[str, Any], scope: Scope) -> None:
    name, kind = binding["name"], str(binding["type"])
    output = make_output(binding, scope)
    if output is not None:
        hosted.outputs[name] = output
    elif kind != "http":
        hosted.undelivered[name] = kind


def _warnings(function: Mapping[str, Any], hosted: HostedFunction) -> Iterable[str]:
    kind = str(hosted.trigger["type"])
    if not hosted.is_http and hosted.starter is None:
        yield (
            f"{hosted.name} is loaded, but nothing starts it here: this host does not watch for {kind}s."
            f" Run it by hand:  POST /admin/functions/{hosted.name}"
        )
    if function.get("retry") and hosted.retry is None:
        instead = BY_TRIGGER.get(kind.lower(), "whoever sends a request can send it again")
        yield f"The retry policy of {hosted.name} has no effect, as in Azure: {instead}."


def _check_type(binding: Mapping[str, Any]) -> None:
    name, found = binding["name"], str(binding["type"])
    if found.lower() not in _KNOWN_LOWER:
        near = get_close_matches(found.lower(), _KNOWN_LOWER, n=1)
        hint = f"Did you mean {_KNOWN_LOWER[near[0]]!r}?" if near else None
        raise ConfigurationError(f"the binding {name!r} has the unknown type {found!r}", hint=hint)


def _is_trigger(binding: Mapping[str, Any]) -> bool:
    return str(binding["type"]).lower().endswith("trigger")


def _is_output(binding: Mapping[str, Any]) -> bool:
    return str(binding.get("direction", "in")).lower() == "out"


def _is_disabled(function: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    name = function["name"].lower()
    keys = {f"azurewebjobs.{name}.disabled", f"azurewebjobs_{name}_disabled"}
    setting = next((value for key, value in environ.items() if key.lower() in keys), None)
    return setting.strip().lower() in ("true", "1") if setting is not None else bool(function["disabled"])
