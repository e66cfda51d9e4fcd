"""Topics and topic filters of MQTT."""

from __future__ import annotations


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a topic is one that a topic filter means.

    ``+`` stands for one level, ``#`` for all that follow and the one above them. Neither stands for a first level that
    begins with ``$``.

    Source: MQTT 5, section 4.7.
    """
    wanted, found = topic_filter.split("/"), topic.split("/")
    if found[0].startswith("$") and wanted[0] in ("+", "#"):
        return False
    for at, level in enumerate(wanted):
        if level == "#":
            return True
        if at >= len(found) or (level != "+" and level != found[at]):
            return False
    return len(wanted) == len(found)


def unshared(topic_filter: str) -> str:
    """The filter of a shared subscription, ``$share/GROUP/FILTER``, without its group; any other as it is."""
    parts = topic_filter.split("/", 2)
    return parts[2] if parts[0] == "$share" and len(parts) == 3 else topic_filter


def topic_problem(topic: str) -> str:
    """What keeps a client from publishing to a topic, as the end of a sentence that begins with it; else empty."""
    found = next((sign for sign in "+#" if sign in topic), "")
    if found:
        return f"has {found}, which only a subscription can have"
    if topic.startswith("$"):
        return "begins with $, and such topics are the broker's own"
    return _no_text(topic)


def filter_problem(topic_filter: str) -> str:
    """What keeps a client from subscribing to a topic filter, as :func:`topic_problem` says it."""
    if topic_filter.startswith("$share/") and not all(topic_filter.partition("/")[2].partition("/")):
        return "is no shared subscription, which is written as $share/GROUP/TOPIC"
    levels = unshared(topic_filter).split("/")
    if any("#" in level and (level != "#" or at < len(levels) - 1) for at, level in enumerate(levels)):
        return "has # elsewhere than as its last level"
    if any("+" in level and level != "+" for level in levels):
        return "has + beside other signs of a level"
    return _no_text(topic_filter)


def _no_text(topic: str) -> str:
    if not topic or "\0" in topic:
        return "is empty" if not topic else "has the sign NUL"
    return "" if len(topic.encode()) < 1 << 16 else "is longer than 65,535 bytes"
