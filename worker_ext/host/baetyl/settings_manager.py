"""What the function-manager's ``service.yml`` says, checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...transports.mqtt_broker import Broker
from ..settings_tree import REQUIRED, Setting
from .settings import Resolve, broker_of, file_of, filter_of, topic_of, uniquely
from .settings_units import duration

_ATTEMPTS = 3
_MOST_INSTANCES = 1000


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
    :ivar where: file and line of the function.
    """

    name: str
    service: str
    least: int
    most: int
    idle_time: float
    timeout: float
    where: str = ""


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


def manager_settings(root: Setting, resolve: Resolve) -> ManagerSettings:
    """The function-manager's settings.

    :param resolve: finds the files that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    hub = root["hub"]
    broker = replace(
        broker_of(hub["address"]), username=hub["username"].text(None), password=hub["password"].text(None)
    ).with_files(
        ca=file_of(hub["ca"], resolve), certificate=file_of(hub["cert"], resolve), key=file_of(hub["key"], resolve)
    )
    pools = {pool.name: pool for pool in map(_pool, uniquely(root["functions"].elements(), "name"))}
    rules = []
    for number, setting in enumerate(uniquely(root["rules"].elements(), "clientid"), 1):
        rule = _rule(setting, number)
        if rule.function not in pools:
            name = setting["function"]["name"]
            raise name.error(f"one of the functions below ({', '.join(pools) or 'there are none'})")
        rules.append(rule)
    return ManagerSettings(hub["address"].text(""), broker, rules, pools)


def _rule(setting: Setting, number: int) -> Rule:
    subscribe, publish, function = setting["subscribe"], setting["publish"], setting["function"]["name"].text(REQUIRED)
    return Rule(
        client_id=setting["clientid"].text("") or f"{function}-{number}",
        topic=filter_of(subscribe["topic"]),
        qos=subscribe["qos"].integer(0, minimum=0, maximum=1),
        function=function,
        reply_topic=topic_of(publish["topic"]) if publish["topic"].text("") else None,
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
        where=f"{setting.file}:{setting.line}",
    )
