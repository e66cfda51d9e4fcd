"""What the ``service.yml`` of Baetyl's services says, checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from ...runtimes.baetyl.service import FunctionEntry
from ...transports.mqtt_broker import Broker
from ...transports.mqtt_topics import matches
from ..settings_tree import REQUIRED, Setting
from ..settings_yaml import load_yaml
from .settings_units import duration, fill_template, size

Resolve = Callable[[str], Path]
"""Finds the place of a path as a service sees it."""

_ATTEMPTS = 3
_MOST_INSTANCES = 1000


@dataclass(frozen=True)
class Permission:
    """What a principal of the hub may do.

    :ivar action: ``pub`` or ``sub``.
    :ivar topics: with which topic filters.
    """

    action: str
    topics: Sequence[str]


@dataclass(frozen=True)
class Principal:
    """A user of the hub."""

    username: str
    password: str = field(repr=False)
    permissions: Sequence[Permission] = ()


class Listener(NamedTuple):
    """An address that the hub listens on; ``secure`` with TLS."""

    host: str
    port: int
    secure: bool = False

    def __str__(self) -> str:
        return str(Broker(self.host, self.port, self.secure))


@dataclass(frozen=True)
class HubCertificate:
    """What the hub encrypts with.

    :ivar cert: the file of its certificate.
    :ivar key: the file of its key.
    :ivar ca: the file of the certificates that clients must be signed by; ``None`` if they need none.
    :ivar where: the settings file that names them.
    """

    cert: Path
    key: Path
    ca: Path | None
    where: str | None


@dataclass(frozen=True)
class HubSubscription:
    """Messages of one topic that the hub publishes to another as well.

    :ivar source: the topic filter of the messages.
    :ivar source_qos: the highest quality of service that they are taken with.
    :ivar target: where they go.
    :ivar target_qos: the highest quality of service that they get there.
    """

    source: str
    source_qos: int
    target: str
    target_qos: int


@dataclass(frozen=True)
class HubSettings:
    """The hub's ``service.yml``.

    :ivar listen: what it listens on.
    :ivar principals: its users; nobody else may connect, unless there are none.
    :ivar subscriptions: what it forwards from topic to topic, without a circle.
    :ivar certificate: what it encrypts with; there is one if an address is secure.
    """

    listen: Sequence[Listener]
    principals: Sequence[Principal]
    subscriptions: Sequence[HubSubscription] = ()
    certificate: HubCertificate | None = None


@dataclass(frozen=True)
class Rule:
    """What happens with the messages of a topic.

    :ivar client_id: the name of its session at the hub.
    :ivar topic: the topic filter that it subscribes to.
    :ivar qos: with which quality of service.
    :ivar function: the name of the function that is called.
    :ivar reply_topic: where the replies go; ``None`` for nowhere.
    :ivar reply_qos: the highest quality of service of a reply.
    :ivar attempts: how often a message is tried in all.
    :ivar concurrency: how many messages of one topic may be worked on at a time; 1 keeps their order.
    :ivar where: file and line of the rule.
    """

    client_id: str
    topic: str
    qos: int
    function: str
    reply_topic: str | None
    reply_qos: int
    attempts: int
    concurrency: int
    where: str


@dataclass(frozen=True)
class Pool:
    """A function and the limits of its instances.

    :ivar name: the function's name.
    :ivar service: the service that has its code.
    :ivar least: how many instances run at all times.
    :ivar most: how many may run.
    :ivar idle_time: seconds after which an instance with nothing to do ends.
    :ivar timeout: seconds that a call may take.
    """

    name: str
    service: str
    least: int
    most: int
    idle_time: float
    timeout: float


@dataclass(frozen=True)
class ManagerSettings:
    """The function-manager's ``service.yml``.

    :ivar address: the hub's address as it is written.
    :ivar broker: where that is, unless it is the name of a service.
    :ivar rules: its rules.
    :ivar pools: its functions by name.
    """

    address: str
    broker: Broker
    rules: Sequence[Rule]
    pools: Mapping[str, Pool]


@dataclass(frozen=True)
class ServerSettings:
    """The gRPC server of a function instance.

    :ivar address: where it listens, ``host:port``; empty if that comes from the environment.
    :ivar workers: how many calls may run at a time.
    :ivar concurrent: how many calls may be there at a time; ``None`` for any number.
    :ivar message_length: the largest message in bytes.
    :ivar timeout: seconds that a call may take; ``None`` for any time.
    :ivar ca: the file of certificates that clients must be signed by.
    :ivar key: the file of the server's key.
    :ivar cert: the file of the server's certificate.
    """

    address: str = ""
    workers: int | None = None
    concurrent: int | None = None
    message_length: int = 4 * 1024 * 1024
    timeout: float | None = None
    ca: Path | None = None
    key: Path | None = None
    cert: Path | None = None


@dataclass(frozen=True)
class LoggerSettings:
    """Where a service writes its log.

    :ivar path: the file; ``None`` for standard error.
    :ivar level: a level's name.
    :ivar days: days that a file is kept.
    :ivar backups: how many older files are kept.
    """

    path: Path | None = None
    level: str = "info"
    days: int = 15
    backups: int = 15


@dataclass(frozen=True)
class ServiceSettings:
    """The ``service.yml`` of a function service."""

    functions: Sequence[FunctionEntry]
    server: ServerSettings
    logger: LoggerSettings


def read(file: Path, environ: Mapping[str, str] = os.environ) -> Setting:
    """Read a settings file, with its ``{{.VARIABLES}}`` filled in.

    :raises ConfigurationError: if it cannot be read.
    """
    return load_yaml(file, lambda text: fill_template(text, environ, file))


def hub_settings(root: Setting, resolve: Resolve) -> HubSettings:
    """The hub's settings.

    :param resolve: finds the files that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    listen = []
    for setting in root["listen"].elements():
        broker = _broker(setting)
        listen.append(Listener(broker.host, broker.port, broker.secure))
    principals = []
    for user in root["principals"].elements():
        permissions = [
            Permission(one["action"].choice(REQUIRED, ("pub", "sub")), one["permit"].texts())
            for one in user["permissions"].elements()
        ]
        principals.append(Principal(user["username"].text(""), user["password"].text(""), permissions))
    secure = any(one.secure for one in listen)
    return HubSettings(
        listen or [Listener("127.0.0.1", 1883)],
        principals,
        _hub_subscriptions(root["subscriptions"]),
        _hub_certificate(root["certificate"], resolve) if secure else None,
    )


def manager_settings(root: Setting, resolve: Resolve) -> ManagerSettings:
    """The function-manager's settings.

    :param resolve: finds the files that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    hub = root["hub"]
    broker = replace(
        _broker(hub["address"]), username=hub["username"].text(None), password=hub["password"].text(None)
    ).with_files(ca=_file(hub["ca"], resolve), certificate=_file(hub["cert"], resolve), key=_file(hub["key"], resolve))
    pools = {pool.name: pool for pool in map(_pool, root["functions"].elements())}
    rules = []
    for number, setting in enumerate(root["rules"].elements(), 1):
        rule = _rule(setting, number)
        if rule.function not in pools:
            name = setting["function"]["name"]
            raise name.error(f"one of the functions below ({', '.join(pools) or 'there are none'})")
        rules.append(rule)
    return ManagerSettings(hub["address"].text(""), broker, rules, pools)


def service_settings(root: Setting, resolve: Resolve) -> ServiceSettings:
    """The settings of a function service.

    :param resolve: finds the files and folders that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    functions = []
    for setting in root["functions"].elements():
        handler = setting["handler"].text(REQUIRED)
        module, _, name = handler.rpartition(".")
        if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
            raise setting["handler"].error("module.function, such as get.handler")
        codedir = resolve(setting["codedir"].text(REQUIRED))
        functions.append(FunctionEntry(setting["name"].text(REQUIRED), handler, str(codedir)))
    if not functions:
        raise root["functions"].error("a list with a function at least")
    return ServiceSettings(functions, _server(root["server"], resolve), _logger(root["logger"], resolve))


def _hub_certificate(setting: Setting, resolve: Resolve) -> HubCertificate:
    cert, key = _file(setting["cert"], resolve), _file(setting["key"], resolve)
    if cert is None or key is None:
        missing = setting["cert" if cert is None else "key"]
        raise missing.error("a file, as the hub listens on an ssl:// address")
    return HubCertificate(cert, key, _file(setting["ca"], resolve), setting.file)


def _hub_subscriptions(setting: Setting) -> list[HubSubscription]:
    found: list[HubSubscription] = []
    for one in setting.elements():
        source, target = one["source"], one["target"]
        added = HubSubscription(
            source=source["topic"].text(REQUIRED),
            source_qos=source["qos"].integer(0, minimum=0, maximum=1),
            target=target["topic"].text(REQUIRED),
            target_qos=target["qos"].integer(0, minimum=0, maximum=1),
        )
        if not added.target or any(sign in added.target for sign in "+#$"):
            raise target["topic"].error("a topic without +, # and $")
        if any((added.source, added.target) == (other.source, other.target) for other in found):
            raise one.error("a subscription that is not listed above already")
        found.append(added)
        if _comes_back(found, added):
            raise target["topic"].error(
                "a topic whose messages do not come back to it: these subscriptions are a circle"
            )
    return found


def _comes_back(subscriptions: Sequence[HubSubscription], start: HubSubscription) -> bool:
    """Whether what a subscription has forwarded is forwarded to its target again."""
    reached, waiting = set[str](), [start.target]
    while waiting:
        topic = waiting.pop()
        targets = {one.target for one in subscriptions if matches(one.source, topic)}
        if start.target in targets:
            return True
        waiting += targets - reached
        reached |= targets
    return False


def _rule(setting: Setting, number: int) -> Rule:
    subscribe, publish, function = setting["subscribe"], setting["publish"], setting["function"]["name"].text(REQUIRED)
    return Rule(
        client_id=setting["clientid"].text("") or f"{function}-{number}",
        topic=subscribe["topic"].text(REQUIRED),
        qos=subscribe["qos"].integer(0, minimum=0, maximum=1),
        function=function,
        reply_topic=publish["topic"].text("") or None,
        reply_qos=publish["qos"].integer(0, minimum=0, maximum=1),
        attempts=setting["retry"]["max"].integer(_ATTEMPTS, minimum=0) or 1,
        concurrency=setting["concurrency"].integer(1, minimum=1, maximum=_MOST_INSTANCES),
        where=f"{setting.file}:{setting.line}",
    )


def _pool(setting: Setting) -> Pool:
    instance = setting["instance"]
    most = instance["max"].integer(1, minimum=1, maximum=_MOST_INSTANCES)
    return Pool(
        name=setting["name"].text(REQUIRED),
        service=setting["service"].text(REQUIRED),
        least=instance["min"].integer(0, minimum=0, maximum=most),
        most=most,
        idle_time=duration(instance["idletime"], 600.0),
        timeout=duration(instance["timeout"], 30.0),
    )


def _server(setting: Setting, resolve: Resolve) -> ServerSettings:
    server = ServerSettings(
        address=setting["address"].text(""),
        workers=setting["workers"]["max"].integer(None, minimum=1),
        concurrent=setting["concurrent"]["max"].integer(None, minimum=1),
        message_length=size(setting["message"]["length"]["max"], ServerSettings.message_length),
        timeout=duration(setting["timeout"], None),
        ca=_file(setting["ca"], resolve),
        key=_file(setting["key"], resolve),
        cert=_file(setting["cert"], resolve),
    )
    if (server.key is None) != (server.cert is None):
        raise setting["key" if server.key is None else "cert"].error("a file, as there is a key or cert")
    return server


def _logger(setting: Setting, resolve: Resolve) -> LoggerSettings:
    return LoggerSettings(
        path=_file(setting["path"], resolve),
        level=setting["level"].choice("info", ("debug", "info", "warn", "error", "fatal")),
        days=setting["age"]["max"].integer(15, minimum=1),
        backups=setting["backup"]["max"].integer(15, minimum=0),
    )


def _broker(setting: Setting) -> Broker:
    try:
        return Broker.parse(setting.text(REQUIRED))
    except ValueError as error:
        raise setting.error("an address such as tcp://localhub:1883", hint=str(error)) from None


def _file(setting: Setting, resolve: Resolve) -> Path | None:
    text = setting.text("")
    return resolve(text) if text else None
