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
