"""The functions of an app as the host knows them: what starts each, where, and why one is not run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigurationError
from ..runtimes.protocol import unpack_error
from .routes import Router

KNOWN_BINDINGS = frozenset(
    """
    activityTrigger assistantCreate assistantPost assistantQuery assistantSkillTrigger blob blobTrigger
    connectorTrigger cosmosDB cosmosDBTrigger daprBinding daprBindingTrigger daprInvoke daprPublish daprSecret
    daprServiceInvocationTrigger daprState daprTopicTrigger durableClient embeddings embeddingsStore entityTrigger
    eventGrid eventGridTrigger eventHub eventHubTrigger http httpTrigger kafka kafkaTrigger kusto mcpPromptTrigger
    mcpResourceTrigger mcpToolTrigger mysql mysqlTrigger orchestrationTrigger orchestrationClient queue queueTrigger
    rabbitMQ rabbitMQTrigger redis redisListTrigger redisPubSubTrigger redisStreamTrigger semanticSearch sendGrid
    serviceBus serviceBusTrigger signalR signalRConnectionInfo signalRTrigger sql sqlTrigger table textCompletion
    timerTrigger twilioSms warmupTrigger webPubSub webPubSubConnection webPubSubContext webPubSubTrigger
    """.split()
)
"""The binding types of the real host and of its extension bundle, version 4."""

_KNOWN_LOWER = {name.lower(): name for name in KNOWN_BINDINGS}


@dataclass
class HostedFunction:
    """One function.

    :ivar name: its name.
    :ivar trigger: its trigger binding's JSON object.
    :ivar outputs: names and types of its outputs that this host does not deliver.
    """

    name: str
    trigger: Mapping[str, Any]
    outputs: dict[str, str] = field(default_factory=dict)

    @property
    def is_http(self) -> bool:
        """Whether an HTTP request starts it."""
        return bool(self.trigger["type"] == "httpTrigger")

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

    :ivar functions: the functions that are served.
    :ivar router: where their HTTP requests go.
    :ivar problems: why others are not, a text each.
    :ivar extensions: the names of the worker extensions.
    """

    functions: list[HostedFunction]
    router: Router[HostedFunction]
    problems: list[str]
    extensions: list[str]


def host_app(
    description: Mapping[str, Any], *, route_prefix: str, only: Iterable[str], environ: Mapping[str, str]
) -> HostedApp:
    """Decide what of an app is served, and where.

    :param description: the app as its worker describes it.
    :param route_prefix: what HTTP routes begin with.
    :param only: the names of the functions to serve; none means all.
    :param environ: the app's settings; ``AzureWebJobs.NAME.Disabled`` turns a function off.
    """
    problems = [_problem_of_indexing(fields) for fields in description["problems"]]
    router: Router[HostedFunction] = Router(route_prefix)
    served: list[HostedFunction] = []
    wanted = {name.lower() for name in only}
    names = {function["name"].lower() for function in description["functions"]}
    problems += [f"there is no function {name!r}, which --functions asks for" for name in only if name.lower() not in names]
    for function in description["functions"]:
        name = function["name"]
        if (wanted and name.lower() not in wanted) or _is_disabled(function, environ):
            continue
        problem = _problem_of_bindings(function["bindings"])
        if problem is None:
            hosted = HostedFunction(name, _trigger(function), _undelivered(function))
            try:
                if hosted.is_http:
                    router.add(hosted.route, hosted.methods, hosted, owner=name)
            except ConfigurationError as error:
                problem = error.message
            else:
                served.append(hosted)
        if problem is not None:
            problems.append(f"The '{name}' function is in error: {problem}")
    return HostedApp(served, router, problems, list(description["extensions"]))


def _trigger(function: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(binding for binding in function["bindings"] if str(binding["type"]).lower().endswith("trigger"))


def _undelivered(function: Mapping[str, Any]) -> dict[str, str]:
    return {
        binding["name"]: binding["type"]
        for binding in function["bindings"]
        if str(binding.get("direction", "in")).lower() == "out" and binding["type"] != "http"
    }


def _problem_of_bindings(bindings: Iterable[Mapping[str, Any]]) -> str | None:
    for binding in bindings:
        found = str(binding["type"])
        if found.lower() not in _KNOWN_LOWER:
            near = get_close_matches(found.lower(), _KNOWN_LOWER, n=1)
            hint = f"; did you mean {_KNOWN_LOWER[near[0]]!r}?" if near else ""
            return f"the binding {binding['name']!r} has the unknown type {found!r}{hint}"
        is_input = str(binding.get("direction", "in")).lower() == "in" and not found.lower().endswith("trigger")
        if is_input:
            return f"its input binding {binding['name']!r} ({found}) is not available on this host yet"
    return None


def _problem_of_indexing(fields: dict[str, Any]) -> str:
    error = unpack_error(fields)
    text = f"{error}\n{error.detail.rstrip()}" if error.detail else str(error)
    return f"The '{error.function}' function is in error: {text}" if error.function else text


def _is_disabled(function: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    name = function["name"].lower()
    keys = {f"azurewebjobs.{name}.disabled", f"azurewebjobs_{name}_disabled"}
    setting = next((value for key, value in environ.items() if key.lower() in keys), None)
    return setting.strip().lower() in ("true", "1") if setting is not None else bool(function["disabled"])
