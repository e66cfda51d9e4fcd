"""Who may do what at the embedded hub: its principals, as plugins of amqtt. Baetyl's own hub treats them like this."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from ...transports.mqtt_topics import matches
from .settings_hub import HubSettings

MOST_SLASHES = 8
"""How deep a topic may be."""


@dataclass(frozen=True)
class Connection:
    """A client's connection to the hub.

    :ivar certified: whether the client has shown a certificate.
    :ivar end: ends it; told why, for people.
    """

    certified: bool
    end: Callable[[str], None]


current: ContextVar[Connection] = ContextVar("current")
"""The connection that is being looked after; amqtt's session may be that of an earlier one."""


def plugins(hub: HubSettings) -> dict[str, Any]:
    """The plugins of a hub, as amqtt is configured. Without principals everybody may do everything."""
    settings = {"principals": [asdict(principal) for principal in hub.principals]}
    found: dict[str, Any] = {f"{__name__}.{Topics.__name__}": settings}
    if hub.principals:
        return found | {f"{__name__}.{Users.__name__}": settings}
    return found | {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}


class Permits:
    """What users may do; anybody may do everything where there are no principals.

    :param principals: as :class:`~worker_ext.host.baetyl.settings_hub.Principal` has them.
    """

    def __init__(self, principals: Sequence[Mapping[str, Any]]) -> None:
        self._open = not principals
        self._topics: dict[tuple[str, str], list[str]] = {}
        for principal in principals:
            for permission in principal["permissions"]:
                key = principal["username"], permission["action"]
                self._topics.setdefault(key, []).extend(permission["topics"])

    def may(self, username: str | None, action: str, topic: str | None) -> bool:
        """Whether a user may do something with a topic or a topic filter.

        :param action: ``pub`` or ``sub``.
        """
        if not topic or "$" in topic or topic.count("/") > MOST_SLASHES:
            return False
        permits = self._topics.get((username or "", action), ())
        return self._open or any(permit in ("#", topic) or matches(permit, topic) for permit in permits)


@dataclass
class PrincipalsConfig:
    """What the plugins are configured with; amqtt makes it of what :func:`plugins` gives."""

    principals: list[dict[str, Any]] = field(default_factory=list, repr=False)


class Users(BaseAuthPlugin):  # type: ignore[misc]  # amqtt tells no types
    """Lets principals connect, and nobody else."""

    Config = PrincipalsConfig

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._permits = Permits(self.config.principals)

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the session's user is a principal, has said its password, and may publish the will it leaves.

        A principal without a password needs a certificate instead, as at Baetyl's own hub.
        """
        given = (session.password or "").encode()
        found = False
        for principal in self.config.principals:
            same = hmac.compare_digest(principal["password"].encode(), given)
            proven = same and (bool(given) or current.get().certified)
            found |= proven and principal["username"] == session.username
        if found and session.will_flag:  # whose topic amqtt asks nobody about
            return self._permits.may(session.username, "pub", session.will_topic)
        return found


class Topics(BaseTopicPlugin):  # type: ignore[misc]
    """Lets principals publish and subscribe as they are permitted."""

    Config = PrincipalsConfig

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._permits = Permits(self.config.principals)

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """Whether the session's user may publish or subscribe to the topic. What it has subscribed to, it receives.

        Who publishes what it may not is disconnected.
        """
        if action == Action.RECEIVE:
            return True
        username = session.username if session is not None else None
        publishes = action == Action.PUBLISH
        permitted = self._permits.may(username, "pub" if publishes else "sub", topic)
        if publishes and not permitted:
            who = f"{session.client_id if session else ''} ({username or 'without a user name'})"
            current.get().end(f"The hub has disconnected {who}, which may not publish to {topic}.")
        return permitted
