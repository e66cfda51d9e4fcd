"""YAML files as documents whose parts know their lines, for :class:`~worker_ext.host.settings_tree.Setting`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigurationError
from .settings_tree import Setting

MAX_BYTES = 1_000_000


class YamlDocument:
    """A YAML document and where its parts are.

    :ivar value: the document as plain Python values.
    :ivar file: the file that it was read from.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file: str | None = file
        try:
            loader = yaml.SafeLoader(text)
            self._node = loader.get_single_node()
            _check_names(self._node, file)
            self.value: Any = loader.construct_document(self._node) if self._node is not None else {}
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark is not None else None
            reason = " ".join(part for part in (error.context, error.problem) if part)
            raise ConfigurationError(f"this is no YAML: {reason}", file=file, line=line) from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise ConfigurationError(f"this is no YAML: {error}", file=file) from None

    def line(self, path: tuple[str | int, ...] = ()) -> int:
        """The line, counted from 1, of the key or list element at ``path``, or of the innermost part that exists."""
        mark, _ = self._find(path)
        return mark

    def source(self, path: tuple[str | int, ...] = ()) -> str:
        """The value at ``path`` as it is written; empty for what is no scalar."""
        _, node = self._find(path)
        return str(node.value) if isinstance(node, yaml.ScalarNode) else ""

    def _find(self, path: tuple[str | int, ...]) -> tuple[int, yaml.Node | None]:
        node, line = self._node, 1
        for step in path:
            place = inner = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if key.value == step or (not isinstance(step, str) and key.value == str(step)):
                        place, inner = key, value
            elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
                place = inner = node.value[step]
            if place is None:
                break
            node, line = inner, place.start_mark.line + 1
        return line, node


def _check_names(root: yaml.Node | None, file: str) -> None:
    """See to it that no name is twice in a group, as YAML demands: of two lists of rules, one would be ignored.

    :raises ConfigurationError: if one is.
    """
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                waiting.append(value)
                if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                    continue
                line = key.start_mark.line + 1
                if key.value in lines:
                    first = lines[key.value]
                    raise ConfigurationError(f"{key.value!r} is there already, in line {first}", file=file, line=line)
                lines[key.value] = line


def load_yaml(file: Path, prepare: Callable[[str], str] = str) -> Setting:
    """Read a YAML file as a tree of settings.

    :param prepare: what is done to the text before it is YAML, such as filling in a template.
    :raises ConfigurationError: it cannot be read, is no YAML, or no object.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"it cannot be read: {error.strerror or error}", file=file) from None
    if len(data) > MAX_BYTES:
        raise ConfigurationError(f"it has {len(data)} bytes, more than a settings file can have", file=file)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"it is not UTF-8: {error.reason}", file=file, line=1 + data[: error.start].count(b"\n")
        ) from None
    return Setting.from_document(YamlDocument(prepare(text), str(file)), secret=True)
