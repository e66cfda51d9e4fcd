"""``local.settings.json``: the app settings of a development machine, as Core Tools reads them.

Source: https://learn.microsoft.com/azure/azure-functions/functions-develop-local#local-settings-file and the
behaviour of Azure Functions Core Tools 4.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from worker_ext import jsonc
from worker_ext.errors import ConfigurationError
from worker_ext.host.settings_tree import REQUIRED, Setting

FILE_NAME = "local.settings.json"
_KNOWN = ("IsEncrypted", "Values", "ConnectionStrings", "Host")
_KNOWN_HOST = ("LocalHttpPort", "CORS", "CORSCredentials")


@dataclass(frozen=True)
class LocalSettings:
    """What ``local.settings.json`` says. Its values may be secrets: they are in no repr and no error text.

    :ivar values: the app settings, ``Values``; numbers and booleans as they are written (``true``, ``1.50``).
    :ivar connection_strings: ``ConnectionStrings`` by name.
    :ivar http_port: ``Host.LocalHttpPort``.
    :ivar cors: the origins in ``Host.CORS``; ``("*",)`` allows all, no origin means no CORS.
    :ivar cors_credentials: ``Host.CORSCredentials``, whether browsers may send cookies from those origins.
    :ivar warnings: sentences to print.
    """

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    connection_strings: Mapping[str, str] = field(default_factory=dict, repr=False)
    http_port: int | None = None
    cors: tuple[str, ...] = ()
    cors_credentials: bool = False
    warnings: tuple[str, ...] = ()

    def environment(
        self, base: Mapping[str, str], *, ignore_case: bool = os.name == "nt"
    ) -> tuple[dict[str, str], list[str]]:
        """The environment for the host and its workers: ``base`` and, where it says nothing, these settings.

        A connection string becomes the variable ``ConnectionStrings:name``. A variable that is set but empty does not
        count as defined, as with Core Tools.

        :param base: the environment of the process, which wins.
        :param ignore_case: whether names are the same whatever their case, as on Windows.
        :return: the new environment, and the names of the settings that ``base`` defines already.
        """
        fold = str.upper if ignore_case else str
        names = {fold(name): name for name in base}
        result, skipped = dict(base), []
        connections = {f"ConnectionStrings:{name}": value for name, value in self.connection_strings.items()}
        for name, value in {**self.values, **connections}.items():
            defined = names.setdefault(fold(name), name)
            if result.get(defined):
                skipped.append(name)
            else:
                result[defined] = value
        return result, skipped


def load_local_settings(script_root: Path) -> LocalSettings:
    """Read ``local.settings.json`` in an app's folder. Without the file there are no settings.

    :raises ConfigurationError: it is not JSON, is encrypted, or a setting has a value that it cannot have.
    """
    try:
        document = jsonc.load(script_root / FILE_NAME)
    except FileNotFoundError:
        return LocalSettings()
    root = Setting.from_document(document, secret=True)
    if root["IsEncrypted"].boolean(False):
        raise ConfigurationError(
            "IsEncrypted is true: the settings can only be read with the key that Azure Functions Core Tools keeps",
            file=root.file,
            line=root["IsEncrypted"].line,
            hint="Run `func settings decrypt` of the Azure Functions Core Tools in this folder.",
        )
    warnings = [*document.warnings, *root.misspelt(_KNOWN)]
    host = root["Host"]
    warnings += host.misspelt(_KNOWN_HOST)
    origins = [origin.strip() for origin in host["CORS"].text("").split(",")]
    cors = tuple(origin for origin in origins if origin)
    credentials = host["CORSCredentials"].boolean(False)
    if credentials and "*" in cors:
        raise ConfigurationError(
            'Host.CORSCredentials cannot be true while Host.CORS is "*": browsers refuse that combination',
            file=host.file,
            line=host["CORSCredentials"].line,
            hint="List the origins that may send credentials.",
        )
    return LocalSettings(
        values=_values(root["Values"], warnings),
        connection_strings=_connection_strings(root["ConnectionStrings"]),
        http_port=host["LocalHttpPort"].integer(0, minimum=0, maximum=65535) or None,
        cors=cors,
        cors_credentials=credentials,
        warnings=tuple(warnings),
    )


def _values(group: Setting, warnings: list[str]) -> dict[str, str]:
    values = {}
    for setting in group:
        if not setting.key:
            warnings.append(setting.warning("a setting in Values has no name, it is left out"))
        elif setting.is_null:
            warnings.append(setting.warning(f"{setting.name} is null, it is left out"))
        else:
            values[setting.key] = _variable(setting, setting.text(REQUIRED))
    return values


def _connection_strings(group: Setting) -> dict[str, str]:
    values = {}
    for setting in group:
        # Core Tools writes the long form, with a ProviderName that only .NET's SqlClient has a use for.
        source = setting["ConnectionString"] if setting.is_group else setting
        values[setting.key] = _variable(setting, source.text(REQUIRED))
    return values


def _variable(setting: Setting, value: str) -> str:
    """The value, once it is known that it can be an environment variable of that name."""
    if "=" in setting.key or "\0" in setting.key + value:
        shown = setting.name.partition("=")[0]  # who writes "name=value" into the name has a secret there
        raise ConfigurationError(
            f'{shown!r} cannot be an environment variable: its name has a "=", or it has a null character',
            file=setting.file,
            line=setting.line,
        )
    return value
