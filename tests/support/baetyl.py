"""Baetyl apps that tests write: the tutorial's folder, with other handlers and other rules where a test needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

ECHO = "def handler(event, context):\n    return event\n"

APPLICATION: dict[str, Any] = {
    "version": "v0",
    "services": [
        {
            "name": "localhub",
            "image": "baetyl-hub",
            "replica": 1,
            "ports": ["1883:1883"],
            "mounts": [{"name": "localhub-conf", "path": "etc/baetyl", "readonly": True}],
        },
        {
            "name": "function-manager",
            "image": "baetyl-function-manager",
            "replica": 1,
            "mounts": [{"name": "function-manager-conf", "path": "etc/baetyl", "readonly": True}],
        },
        {
            "name": "function-sayhi3",
            "image": "baetyl-function-python36",
            "replica": 0,
            "mounts": [
                {"name": "function-sayhi-conf", "path": "etc/baetyl", "readonly": True},
                {"name": "function-sayhi-code", "path": "var/db/baetyl/function-sayhi", "readonly": True},
            ],
        },
    ],
    "volumes": [
        {"name": name, "path": f"var/db/baetyl/{name}"}
        for name in ("localhub-conf", "function-manager-conf", "function-sayhi-conf", "function-sayhi-code")
    ],
}
PRINCIPALS = [
    {
        "username": "test",
        "password": "hahaha",
        "permissions": [{"action": "pub", "permit": ["#"]}, {"action": "sub", "permit": ["#"]}],
    }
]


def rule(
    function: str = "sayhi3", topic: str = "py", reply: str = "py/hi", qos: int = 1, **more: Any
) -> dict[str, Any]:
    """A rule of the function-manager."""
    return {
        "clientid": f"rule-{topic.replace('/', '-')}",
        "subscribe": {"topic": topic, "qos": qos},
        "function": {"name": function},
        "publish": {"topic": reply, "qos": qos},
        **more,
    }


def write_baetyl_app(
    folder: Path,
    handlers: Mapping[str, str] | str = ECHO,
    *,
    hub: str = "tcp://localhub:1883",
    hub_settings: Mapping[str, Any] | None = None,
    listen: int = 1883,
    principals: Sequence[Mapping[str, Any]] = PRINCIPALS,
    rules: Sequence[Mapping[str, Any]] = (),
    functions: Mapping[str, str] | None = None,
    instance: Mapping[str, Any] | None = None,
    message_length: str = "4m",
) -> Path:
    """Write an app.

    :param handlers: file name → source, in the code folder; a text is that of ``get.py``.
    :param hub: the address of the hub as the rules have it.
    :param listen: the port that the hub's own settings name.
    :param functions: name → handler; ``sayhi3`` is ``get.handler`` if none are named.
    :param instance: the limits of every function's instances.
    :param message_length: the largest message that the function service takes.
    """
    functions = functions or {"sayhi3": "get.handler"}
    home = folder / "var/db/baetyl"
    code = home / "function-sayhi-code"
    manager = {
        "hub": {"address": hub, "username": "test", "password": "hahaha", **(hub_settings or {})},
        "rules": list(rules) or [rule(next(iter(functions)))],
        "functions": [
            {"name": name, "service": "function-sayhi3", "instance": dict(instance or {"min": 0, "max": 10})}
            for name in functions
        ],
    }
    service = {
        "functions": [
            {"name": name, "handler": handler, "codedir": "var/db/baetyl/function-sayhi"}
            for name, handler in functions.items()
        ],
        "server": {"message": {"length": {"max": message_length}}},
    }
    hub_file = {"listen": [f"tcp://0.0.0.0:{listen}"], "principals": list(principals)}
    for name, content in {
        "application.yml": APPLICATION,
        "localhub-conf/service.yml": hub_file,
        "function-manager-conf/service.yml": manager,
        "function-sayhi-conf/service.yml": service,
    }.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False))
    for name, source in ({"get.py": handlers} if isinstance(handlers, str) else handlers).items():
        path = code / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
    return folder


def code_folder(app: Path) -> Path:
    """Where an app's handlers are."""
    return app / "var/db/baetyl/function-sayhi-code"
