"""A settings file as a tree of settings that know where they were written and check themselves when they are read."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, Protocol, TypeVar

from worker_ext.errors import ConfigurationError
from worker_ext.host.settings_timespan import parse_timespan

Default = TypeVar("Default")


class Document(Protocol):
    """A settings file whose parts know where they are, such as :class:`worker_ext.jsonc.Document`."""

    file: str | None
    value: Any

    def line(self, path: tuple[str | int, ...] = ()) -> int:
        """The line of what is at ``path``, counted from 1."""

    def source(self, path: tuple[str | int, ...] = ()) -> str:
        """The scalar at ``path`` as it is written."""


REQUIRED: Any = object()
"""The default of a setting that must be there."""

DURATION = 'a duration like "00:05:00" (hh:mm:ss) or "1.12:00:00" (d.hh:mm:ss)'
_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_INT32 = 2**31 - 1
_FROM_ENVIRONMENT = "It comes from the environment, or from Values in local.settings.json."


class Setting:
    """One setting, or a group of them, read as .NET configuration reads it.

    Names compare without case (of two that differ only in case, the last counts), every value may be given as text,
    and an environment variable may replace any. A value is checked when it is read: a wrong one becomes a
    :class:`ConfigurationError` with file, line and full name, what was found and what is allowed.

    :ivar key: its own name, as it is written.
    :ivar name: its full name for people, such as ``extensions.http.routePrefix`` or ``functions[0]``.
    :ivar file: the file in which it is written, or would be if it were there.
    :ivar line: its line in ``file``; of what is not there, the line of the group around it.
    """

    def __init__(self, key: str, name: str, file: str | None, line: int | None, *, secret: bool) -> None:
        self.key = key
        self.name = name
        self.file = file
        self.line = line
        self._secret = secret
        self._kind: Literal["absent", "value", "object", "list"] = "absent"
        self._value: str | int | float | bool | None = None
        self._source = ""
        self._children: dict[str, Setting] = {}

    @classmethod
    def from_document(cls, document: Document, *, secret: bool = False) -> Setting:
        """The settings of a whole file.

        :param secret: values must not appear in error texts.
        :raises ConfigurationError: the document is not an object.
        """
        root = cls("", "", document.file, document.line(), secret=secret)
        root._fill(document, document.value, ())
        if not root.is_group:
            raise root.error("an object")
        return root

    def _fill(self, document: Document, value: Any, path: tuple[str | int, ...]) -> None:
        items: list[tuple[str | int, Any]] = []
        if isinstance(value, dict):
            self._kind, items = "object", list(value.items())
        elif isinstance(value, list):
            self._kind, items = "list", list(enumerate(value))
        else:
            self._kind, self._value, self._source = "value", value, document.source(path)
        for step, inner in items:
            child = self._children[str(step)] = self._absent(str(step))
            child.line = document.line((*path, step))
            child._fill(document, inner, (*path, step))

    def override(self, environ: Mapping[str, str], prefix: str) -> None:
        """Let environment variables ``prefix__group__setting`` or ``prefix:group:setting`` replace values."""
        for variable, value in environ.items():
            head, *keys = variable.replace("__", ":").split(":")
            if head.lower() != prefix.lower() or not keys or not all(keys):
                continue
            setting = self
            for key in keys:
                if setting._kind in ("absent", "value"):
                    setting._kind = "list" if key.isdecimal() else "object"
                setting = setting._children.setdefault(setting._stored(key), setting._absent(key))
            setting.name, setting.file, setting.line, setting._secret = variable, None, None, True
            setting._kind, setting._value, setting._source = "value", value, value

    def _absent(self, key: str) -> Setting:
        name = f"{self.name}[{key}]" if self._kind == "list" else f"{self.name}.{key}" if self.name else key
        return Setting(key, name, self.file, self.line, secret=self._secret)

    def _stored(self, key: str) -> str:
        """The spelling under which a child of this name is kept."""
        return next((name for name in reversed(self._children) if name.lower() == key.lower()), key)

    def __getitem__(self, key: str) -> Setting:
        """A setting of this group. One that is not there reads as its default.

        :raises ConfigurationError: this is no group.
        """
        self._require_group()
        child = self._children.get(self._stored(key))
        return self._absent(key) if child is None else child

    def __iter__(self) -> Iterator[Setting]:
        """The settings of this group.

        :raises ConfigurationError: this is no group.
        """
        self._require_group()
        return iter(list(self._children.values()))

    @property
    def is_group(self) -> bool:
        """Whether it holds other settings."""
        return self._kind == "object"

    @property
    def is_list(self) -> bool:
        """Whether it is a list of settings."""
        return self._kind == "list"

    @property
    def is_null(self) -> bool:
        """Whether it is written as null."""
        return self._kind == "value" and self._value is None

    def _require_group(self) -> None:
        if self._kind == "list" or (self._kind == "value" and not self.is_null):
            raise self.error("an object")

    def mapping(self) -> dict[str, Any]:
        """The whole group as plain values, unchecked; empty if it is not there."""
        self._require_group()
        return {child.key: child._plain() for child in self}

    def _plain(self) -> Any:
        if self._kind == "list":
            return [child._plain() for child in self._elements()]
        return self.mapping() if self._kind == "object" else self._value

    def elements(self) -> list[Setting]:
        """The elements of a list; none if it is not there or null.

        :raises ConfigurationError: this is no list.
        """
        if self._kind == "object" or (self._kind == "value" and not self.is_null):
            raise self.error("a list")
        return self._elements()

    def _elements(self) -> list[Setting]:
        # An override may add an element out of order, or (by mistake) one whose name is no number.
        return sorted(self._children.values(), key=lambda child: (len(child.key), child.key))

    def texts(self) -> tuple[str, ...]:
        """A list of texts; empty if it is not there or null."""
        if self._kind == "object" or (self._kind == "value" and not self.is_null):
            raise self.error("a list of texts")
        return tuple(child.text("") for child in self._elements())

    def text(self, default: Default) -> str | Default:
        """Text. Numbers and booleans are taken as they are written, null as the empty text."""
        return default if self._missing(default) else self._scalar("a text")

    def boolean(self, default: Default) -> bool | Default:
        """True or false, as such or as text in any case."""
        if self._missing(default):
            return default
        text = self._scalar("true or false").lower()
        if text not in ("true", "false"):
            raise self.error("true or false")
        return text == "true"

    def integer(self, default: Default, *, minimum: int, maximum: int = _INT32) -> int | Default:
        """A whole number within limits, as such or as text."""
        if self._missing(default):
            return default
        allowed = f"a whole number from {minimum}" + (f" to {maximum}" if maximum < _INT32 else "")
        text = self._scalar(allowed).strip()
        if not _INTEGER.fullmatch(text) or not minimum <= int(text) <= maximum:
            raise self.error(allowed)
        return int(text)

    def timespan(self, default: Default, *, minimum: timedelta | None = None) -> timedelta | Default:
        """A duration (:func:`parse_timespan`). Null and the empty text mean the default, if there is one."""
        if self._missing(default):
            return default
        text = self._scalar(DURATION)
        if not text and default is not REQUIRED:
            return default
        try:
            duration = parse_timespan(text)
        except ValueError:
            raise self.error(DURATION) from None
        if minimum is not None and duration < minimum:
            raise self.error(f"{DURATION}, not below {minimum}")
        return duration

    def choice(self, default: Default, names: Collection[str]) -> str | Default:
        """One of ``names``, written in any case; returned as ``names`` spells it."""
        if self._missing(default):
            return default
        allowed = "one of " + ", ".join(names)
        text = self._scalar(allowed).lower()
        for name in names:
            if name.lower() == text:
                return name
        raise self.error(allowed)

    def _missing(self, default: object) -> bool:
        if self._kind == "absent" and default is REQUIRED:
            raise ConfigurationError(f"{self.name} is missing", file=self.file, line=self.line)
        return self._kind == "absent"

    def _scalar(self, allowed: str) -> str:
        if self._kind != "value":
            raise self.error(allowed)
        if self._value is None:
            return ""
        return self._value if isinstance(self._value, str) else self._source

    def error(self, allowed: str, *, hint: str | None = None) -> ConfigurationError:
        """An error that says where this setting is, what was found, and what is ``allowed``."""
        if hint is None and self.line is None:
            hint = _FROM_ENVIRONMENT
        message = f"{self.name or 'the document'} must be {allowed}, found {self._found()}"
        return ConfigurationError(message, file=self.file, line=self.line, hint=hint)

    def _found(self) -> str:
        if self._kind != "value":
            return {"absent": "nothing", "object": "an object", "list": "a list"}[self._kind]
        if self._secret:
            kinds: dict[type, str] = {str: "other text", bool: "a boolean", type(None): "null"}
            return kinds.get(type(self._value), "a number")
        return json.dumps(self._value, ensure_ascii=False) if len(self._source) <= 60 else "something longer"

    def warning(self, message: str) -> str:
        """A sentence for people, preceded by where this setting is."""
        return str(ConfigurationError(message, file=self.file, line=self.line))

    def misspelt(self, known: Collection[str]) -> list[str]:
        """Warnings about names in this group that are not ``known``, but close to one that is."""
        by_lower = {name.lower(): name for name in known}
        warnings = []
        for child in self:
            near = difflib.get_close_matches(child.key.lower(), by_lower, 1)
            if near and near[0] != child.key.lower():
                meant = by_lower[near[0]]
                warnings.append(child.warning(f"{child.name} is not a known setting, did you mean {meant}?"))
        return warnings
