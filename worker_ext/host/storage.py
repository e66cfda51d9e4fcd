"""Connections to storage accounts: which one a binding means, and the SDK's clients for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal

from ..errors import ConfigurationError
from .setting_values import lookup_setting

DEFAULT_CONNECTION = "AzureWebJobsStorage"
_DEVELOPMENT = "UseDevelopmentStorage"
_ACCOUNT = "devstoreaccount1"
# The key that the storage emulators have in common, and publish.
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_PORTS = {"Blob": 10000, "Queue": 10001, "Table": 10002}

Service = Literal["blob", "queue", "table"]
_CLIENTS = {
    "blob": ("azure.storage.blob.aio", "BlobServiceClient"),
    "queue": ("azure.storage.queue.aio", "QueueServiceClient"),
    "table": ("azure.data.tables.aio", "TableServiceClient"),
}


def connection_string(name: str | None, environ: Mapping[str, str]) -> str:
    """The connection string that a binding's ``connection`` names.

    As in Azure, the setting may have ``AzureWebJobs`` before its name, or be one of ``ConnectionStrings``.

    :param name: the name; none for :data:`DEFAULT_CONNECTION`.
    :raises ConfigurationError: if there is no such setting, or it is no connection string.
    """
    name = name or DEFAULT_CONNECTION
    found = None
    for candidate in (f"AzureWebJobs{name}", name, f"ConnectionStrings:{name}"):
        found = found or lookup_setting(candidate, environ)
    if not found:
        identity = any(key.lower().startswith(f"{name}__".lower()) for key in environ)
        raise ConfigurationError(
            f"it uses the storage connection {name}, and there is no setting of that name"
            + ("; identity-based connections are not available on this host" if identity else ""),
            hint=f'For the emulator, add "{name}": "UseDevelopmentStorage=true" to the Values of local.settings.json.',
        )
    fields = dict(part.strip().partition("=")[::2] for part in found.split(";") if part.strip())
    fields = {key.lower(): value for key, value in fields.items()}
    if fields.get(_DEVELOPMENT.lower(), "").lower() == "true":
        return _development_storage(fields.get("developmentstorageproxyuri", "http://127.0.0.1"))
    if not ("accountname" in fields or any(key.endswith("endpoint") for key in fields)):
        raise ConfigurationError(
            f"the setting {name} is no storage connection string",
            hint="It is UseDevelopmentStorage=true, or what the portal shows: AccountName=...;AccountKey=...",
        )
    return found


def check_installed(service: Service) -> None:
    """Check that the SDK of a storage service is there, without importing it.

    :raises ConfigurationError: if it is not.
    """
    package = _CLIENTS[service][0].removesuffix(".aio")
    try:
        found = find_spec(package) is not None and find_spec("aiohttp") is not None
    except ModuleNotFoundError:  # not even azure.storage is there
        found = False
    if not found:
        raise ConfigurationError(
            f"storage {service}s need the package {package.replace('.', '-')}",
            hint="pip install 'worker-ext[host]'",
        )


class Storage:
    """The SDK's service clients, one for each account and service, made when they are first asked for."""

    def __init__(self) -> None:
        self._clients: dict[tuple[Service, str], Any] = {}

    def client(self, service: Service, connection: str) -> Any:
        """The client of a service.

        :param connection: the connection string.
        """
        client = self._clients.get((service, connection))
        if client is None:
            module, name = _CLIENTS[service]
            client = getattr(import_module(module), name).from_connection_string(connection)
            self._clients[service, connection] = client
        return client

    async def close(self) -> None:
        """Close all connections."""
        clients, self._clients = list(self._clients.values()), {}
        for client in clients:
            await client.close()


def _development_storage(host: str) -> str:
    endpoints = "".join(f"{name}Endpoint={host}:{port}/{_ACCOUNT};" for name, port in _PORTS.items())
    return f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};{endpoints}"
