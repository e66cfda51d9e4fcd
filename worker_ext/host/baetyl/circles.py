"""Circles of topics: messages that come back to where they came from, and go round."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...transports.mqtt_topics import matches, unshared


class Route(NamedTuple):
    """A way from topics to a topic.

    :ivar source: the topic filter that messages are taken from.
    :ivar target: the topic that what becomes of them is published to.
    :ivar where: what carries it out, and where that is written, for people.
    """

    source: str
    target: str
    where: str


def circles(routes: Sequence[Route]) -> list[list[Route]]:
    """The circles that routes make, each as its routes in their order, and once."""
    found: dict[frozenset[Route], list[Route]] = {}
    for start in routes:
        way = _way_back(start, routes)
        if way:
            found.setdefault(frozenset(way), way)
    return list(found.values())


def _way_back(start: Route, routes: Sequence[Route]) -> list[Route]:
    """The shortest way from a route to itself; empty if there is none."""
    ways, seen = [[start]], set[Route]()
    for way in ways:  # which grows: the shorter ways come first
        for following in routes:
            if not matches(unshared(following.source), way[-1].target):
                continue
            if following == start:
                return way
            if following not in seen:
                seen.add(following)
                ways.append([*way, following])
    return []
