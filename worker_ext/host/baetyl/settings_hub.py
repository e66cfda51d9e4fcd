"""What the hub's ``service.yml`` says, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from ...transports.mqtt_broker import Broker
from ..settings_tree import REQUIRED, Setting
from .circles import Route, circles
from .settings import Resolve, broker_of, file_of, filter_of, topic_of


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


def hub_settings(root: Setting, resolve: Resolve) -> HubSettings:
    """The hub's settings.

    :param resolve: finds the files that they name.
    :raises ConfigurationError: if one is wrong, with the place.
    """
    listen = []
    for setting in root["listen"].elements():
        broker = broker_of(setting)
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


def _hub_certificate(setting: Setting, resolve: Resolve) -> HubCertificate:
    cert, key = file_of(setting["cert"], resolve), file_of(setting["key"], resolve)
    if cert is None or key is None:
        missing = setting["cert" if cert is None else "key"]
        raise missing.error("a file, as the hub listens on an ssl:// address")
    return HubCertificate(cert, key, file_of(setting["ca"], resolve), setting.file)


def _hub_subscriptions(setting: Setting) -> list[HubSubscription]:
    found: list[HubSubscription] = []
    for one in setting.elements():
        source, target = one["source"], one["target"]
        added = HubSubscription(
            source=filter_of(source["topic"]),
            source_qos=source["qos"].integer(0, minimum=0, maximum=1),
            target=topic_of(target["topic"]),
            target_qos=target["qos"].integer(0, minimum=0, maximum=1),
        )
        if any((added.source, added.target) == (other.source, other.target) for other in found):
            raise one.error("a subscription that is not listed above already")
        found.append(added)
        if circles([Route(route.source, route.target, "") for route in found]):
            raise target["topic"].error(
                "a topic whose messages do not come back to it: these subscriptions are a circle"
            )
    return found
