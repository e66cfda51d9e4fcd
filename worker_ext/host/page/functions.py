"""Functions as the page shows them: what starts each, and what a form to run it asks for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ..by_hand import sample_input
from ..functions import HostedFunction
from ..route_template import Parameter, parse_template

_PARAMETER = re.compile(r"(?<!\{)(?:\{\{)*\{\*{0,2}(?P<name>[^{}:=?*]+)(?P<rule>(?:[^{}]|\{\{|\}\})*)\}")

_SHOWN = {
    "blobTrigger": "path",
    "cosmosDBTrigger": "containerName",
    "eventHubTrigger": "eventHubName",
    "kafkaTrigger": "topic",
    "queueTrigger": "queueName",
    "serviceBusTrigger": "queueName",
    "timerTrigger": "schedule",
}
"""The setting of a trigger that tells people most, by the trigger's type."""


def describe_function(function: HostedFunction, script_root: Path, route_prefix: str) -> dict[str, Any]:
    """What the page must know of a function.

    :param script_root: the app's folder, from which its file is named.
    :param route_prefix: what HTTP routes begin with.
    """
    trigger = function.trigger
    described: dict[str, Any] = {
        "name": function.name,
        "file": _named(function.file, script_root),
        "isAsync": function.is_async,
        "trigger": trigger["type"],
        "about": str(trigger.get(_SHOWN.get(trigger["type"], ""), "")),
        "bindings": [
            {"name": binding["name"], "type": binding["type"], "direction": str(binding.get("direction", "in")).lower()}
            for binding in function.bindings
        ],
    }
    if not function.is_http:
        return {**described, "sample": sample_input(function)}
    route = "/".join(part for part in (route_prefix, function.route.strip("/")) if part)
    return {
        **described,
        "about": f"/{route}",
        "methods": function.methods,
        "level": str(trigger.get("authLevel", "function")).lower(),
        "route": _parts(route),
    }


def _named(file: str, script_root: Path) -> str:
    path = Path(file)
    return path.relative_to(script_root).as_posix() if path.is_relative_to(script_root) else file


def _parts(route: str) -> list[dict[str, Any]]:
    """A route as literal texts and parameters in turn; a form has a field for each parameter."""
    parameters = {
        part.name: part
        for segment in parse_template(route).segments
        for part in segment.parts
        if isinstance(part, Parameter)
    }
    parts: list[dict[str, Any]] = []
    end = 0
    for match in _PARAMETER.finditer(route):
        parts.append({"text": _unescaped(route[end : match.start()])})
        end = match.end()
        name = match["name"]
        parameter = parameters[name]
        parts.append(
            {
                "name": name,
                "rule": match["rule"].strip(":?="),
                "optional": parameter.omittable,
                "default": parameter.default or "",
                "catchAll": parameter.catch_all,
            }
        )
    return [*parts, {"text": _unescaped(route[end:])}]


def _unescaped(text: str) -> str:
    return text.replace("{{", "{").replace("}}", "}")
