"""Change one member of a JSON file that a person has written: comments, order and layout stay as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from worker_ext.jsonc import Document, skip_gap

_REST_OF_LINE = re.compile(r"[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/[ \t]*)?(?:\r\n?|\n|\Z)")
_BLANKS = re.compile(r"[ \t]*\Z")


def set_member(document: Document, path: Sequence[str], value: object) -> str:
    """The document's text with a member set, replaced where it is and added at the end of its object where not.

    :param document: the document. Where ``path`` leads, its objects must exist, all but the last.
    :param path: the keys that lead to the member.
    :param value: its new value.
    """
    *parents, key = path
    text = document.text
    written = json.dumps(value, ensure_ascii=False)
    members = _members(document, parents)
    if key in members:
        _, start, end = document.span((*parents, key))
        return text[:start] + written + text[end:]
    member = f"{json.dumps(key, ensure_ascii=False)}: {written}"
    _, start, end = document.span(tuple(parents))
    newline = "\r\n" if "\r\n" in text else "\n"
    if not members:
        outer = _indent(text, start)
        inner = text[start + 1 : end - 1].rstrip()  # there may be a comment
        return f"{text[: start + 1]}{inner}{newline}{outer}{_unit(document)}{member}{newline}{outer}{text[end - 1 :]}"
    last_place, _, last_end = max(document.span((*parents, name)) for name in members)
    comma = "" if text[skip_gap(text, last_end)] == "," else ","
    tail = text[last_end : end - 1]
    kept = tail.rstrip()
    if "\n" in text[start:end] or "\r" in text[start:end]:
        separator = newline + _indent(text, last_place)
        after = tail[len(kept) :] or newline + _indent(text, start)
    else:
        separator, after = " ", tail[len(kept) :]
    return f"{text[:last_end]}{comma}{kept}{separator}{member}{after}{text[end - 1 :]}"


def remove_member(document: Document, path: Sequence[str]) -> str:
    """The document's text without a member, and without the comment behind it on its line.

    :param document: the document.
    :param path: the keys that lead to the member, which is there.
    """
    *parents, key = path
    text = document.text
    place, _, end = document.span((*parents, key))
    after = skip_gap(text, end)
    if text[after] == ",":
        end = after + 1
    else:
        before = [span for name in _members(document, parents) if (span := document.span((*parents, name))) < (place,)]
        if before:  # the comma before it would be left over
            comma = skip_gap(text, max(before)[2])
            text = text[:comma] + text[comma + 1 :]
            place, end = place - 1, end - 1
    line_start = len(text[:place]) - len(_trailing_blanks(text[:place]))
    begins_line = line_start == 0 or text[line_start - 1] in "\r\n"
    rest = _REST_OF_LINE.match(text, end)
    if begins_line and rest:
        return text[:line_start] + text[rest.end() :]
    left, right = text[:place] if begins_line else text[:place].rstrip(" \t"), text[end:]
    return left + (right.lstrip(" \t") if begins_line or left.endswith("{") else right)


def _members(document: Document, parents: Sequence[str]) -> Sequence[str]:
    value = document.value
    for key in parents:
        value = value[key]
    return list(value)


def _indent(text: str, at: int) -> str:
    """The white space that the line of ``at`` begins with."""
    line = text[max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1 : at]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(document: Document) -> str:
    """By how much the document indents."""
    for key in document.value:
        if indent := _indent(document.text, document.span((key,))[0]):
            return indent
    return "  "


def _trailing_blanks(text: str) -> str:
    found = _BLANKS.search(text)
    return found[0] if found else ""
