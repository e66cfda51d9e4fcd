"""Who may do what at the embedded hub: its principals, as plugins of amqtt."""

from __future__ import annotations

import hmac
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any

from amqtt.contexts import Action, BaseContext
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from ...transports.mqtt_topics import matches
from .settings import HubSettings

certified: ContextVar[bool] = ContextVar("certified", default=False)
"""Whether the client of the connection has shown a certificate; amqtt's session may be that of an earlier one."""


def plugins(hub: HubSettings) -> dict[str, Any]:
    """The plugins of a hub, as amqtt is configured. Without principals everybody may do everything."""
    if not hub.principals:
        return {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    settings = {"principals": [asdict(principal) for principal in hub.principals]}
    return {f"{__name__}.{plugin.__name__}": settings for plugin in (Users, Topics)}


@dataclass
class PrincipalsConfig:
    """What the plugins are configured with; amqtt makes it of what :func:`plugins` gives."""

    principals: list[dict[str, Any]] = field(default_factory=list, repr=False)


class Users(BaseAuthPlugin):  # type: ignore[misc]  # amqtt tells no types
    """Lets principals connect, and nobody else."""

    Config = PrincipalsConfig

    async def authenticate(self, *, session: Session) -> bool | None:
        """Whether the session's user is a principal and has said its password.

        A principal without a password needs a certificate instead, as at Baetyl's own hub.
        """
        given = (session.password or "").encode()
        found = False
        for principal in self.config.principals:
            same = hmac.compare_digest(principal["password"].encode(), given)
            proven = same and (bool(given) or certified.get())
            found |= proven and principal["username"] == session.username
        return found


class Topics(BaseTopicPlugin):  # type: ignore[misc]
    """Lets principals publish and subscribe as they are permitted."""

    Config = PrincipalsConfig

    def __init__(self, context: BaseContext) -> None:
        super().__init__(context)
        self._permitted: dict[tuple[str, str], list[str]] = {}
        for principal in self.config.principals:
            for permission in principal["permissions"]:
                key = principal["username"], permission["action"]
                self._permitted.setdefault(key, []).extend(permission["topics"])

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: Action | None = None
    ) -> bool | None:
        """Whether the session's user may publish or subscribe to the topic. What it has subscribed to, it receives."""
        if action == Action.RECEIVE:
            return True
        if session is None or session.username is None or topic is None:
            return False
        permitted = self._permitted.get((session.username, "pub" if action == Action.PUBLISH else "sub"), [])
        return any(permit in ("#", topic) or matches(permit, topic) for permit in permitted)
