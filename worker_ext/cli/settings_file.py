"""``local.settings.json`` as the commands change it: one member at a time, the rest as a person has written it."""

from __future__ import annotations

import codecs
import contextlib
import os
import tempfile
from pathlib import Path
from typing import Any

from worker_ext import jsonc
from worker_ext.cli.json_edit import remove_member, set_member
from worker_ext.cli.project import Project
from worker_ext.cli.templates import render
from worker_ext.errors import ConfigurationError
from worker_ext.host.settings_local import FILE_NAME

VALUES = "Values"
CONNECTION_STRINGS = "ConnectionStrings"
_PROVIDER = "System.Data.SqlClient"
"""What Core Tools writes beside a connection string; only .NET reads it."""


class SettingsFile:
    """The ``local.settings.json`` of an app.

    :param root: the app's folder.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE_NAME

    @classmethod
    def of_app(cls, root: Path) -> SettingsFile:
        """The file of the app in ``root``; it may not be there yet.

        :raises ConfigurationError: ``root`` is not the folder of a function app.
        """
        file = cls(root)
        if not file.exists:
            Project(root).require_host_json()
        return file

    @property
    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.is_file()

    def read(self, group: str) -> dict[str, Any]:
        """The members of ``Values`` or ``ConnectionStrings``, as they are written; none without the file.

        :raises ConfigurationError: the file cannot be read, is no JSON object, or is encrypted.
        """
        if not self.exists:
            return {}
        document = self._load()
        found = document.value.get(_stored(document.value, group))
        return self._object(document, group) if found is not None else {}

    def add(self, group: str, name: str, value: str) -> None:
        """Set a member of ``Values`` or ``ConnectionStrings``; a file that is not there is made.

        :raises ConfigurationError: the file cannot be read or written, is no JSON object, or is encrypted.
        """
        if not name or "=" in name or "\0" in name + value:
            raise ConfigurationError(
                "a setting becomes an environment variable: its name cannot be empty or have a =, and neither name "
                "nor value can have a null character",
                hint="The name and the value are two words:  func settings add NAME VALUE",
            )
        document = self._load() if self.exists else jsonc.parse(render(f"project/{FILE_NAME}"), str(self.path))
        group = _stored(document.value, group)
        if document.value.get(group) is None:
            document = self._parse(set_member(document, (group,), {}))
        members = self._object(document, group)
        stored = _stored(members, name)
        changed: Any = value
        if group == CONNECTION_STRINGS:
            old = members.get(stored)
            changed = {"ConnectionString": value, "ProviderName": _PROVIDER}
            if isinstance(old, dict):
                changed = {**old, _stored(old, "ConnectionString"): value}
        self._write(set_member(document, (group, stored), changed))

    def delete(self, group: str, name: str) -> bool:
        """Remove a member of ``Values`` or ``ConnectionStrings``; whether there was one.

        :raises ConfigurationError: the file cannot be read or written, is no JSON object, or is encrypted.
        """
        found = False
        while (stored := _stored(self.read(group), name)) in self.read(group):  # it may stand there twice
            document = self._load()
            self._write(remove_member(document, (_stored(document.value, group), stored)))
            found = True
        return found

    def _load(self) -> jsonc.Document:
        document = jsonc.load(self.path)
        if not isinstance(document.value, dict):
            raise ConfigurationError("the document must be an object", file=self.path, line=document.line())
        encrypted = _stored(document.value, "IsEncrypted")
        if str(document.value.get(encrypted)).lower() == "true":
            raise ConfigurationError(
                "the settings are encrypted; only Azure Functions Core Tools have the key",
                file=self.path,
                line=document.line((encrypted,)),
                hint="Run `func settings decrypt` of the Core Tools first.",
            )
        return document

    def _object(self, document: jsonc.Document, group: str) -> dict[str, Any]:
        key = _stored(document.value, group)
        members = document.value[key]
        if not isinstance(members, dict):
            raise ConfigurationError(f"{key} must be an object", file=self.path, line=document.line((key,)))
        return members

    def _parse(self, text: str) -> jsonc.Document:
        return jsonc.parse(text, str(self.path))

    def _write(self, text: str) -> None:
        """Replace the file in one step: a command that is interrupted leaves the old one."""
        self._parse(text)  # whatever the file looked like, never leave it broken
        temporary = None
        try:
            data = text.encode(_encoding(self.path))
            handle, name = tempfile.mkstemp(prefix=f".{FILE_NAME}.", dir=self.path.parent)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            temporary.chmod(self.path.stat().st_mode & 0o777 if self.exists else 0o600)
            temporary.replace(self.path)
        except OSError as error:
            if temporary is not None:
                with contextlib.suppress(OSError):
                    temporary.unlink()
            raise ConfigurationError(f"cannot be written: {error.strerror}", file=self.path) from None


def _stored(members: dict[str, Any], name: str) -> str:
    """The spelling under which ``name`` is there; names differ in more than their case to .NET."""
    if name in members:
        return name
    return next((key for key in members if key.lower() == name.lower()), name)


def _encoding(path: Path) -> str:
    """How :func:`jsonc.load` has read a file."""
    if not path.is_file():
        return "utf-8"
    with path.open("rb") as stream:
        start = stream.read(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start == codecs.BOM_UTF8 else "utf-8"
