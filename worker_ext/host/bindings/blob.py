"""Blob inputs and outputs.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-blob
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ConfigurationError
from ..setting_values import resolve_settings
from ..storage import Storage, check_installed, connection_string
from .base import BindingData, BindingFailed, Scope
from .expressions import Template

MOST_BYTES = 200 * 1024 * 1024
"""The largest blob that a function is given: it travels to the worker in one piece."""


class _BlobBinding:
    """A blob whose path is a template.

    :param binding: the binding's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if a property or a setting is missing or wrong.
    """

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        check_installed("blob")
        self.name = str(binding["name"])
        what = f"the path of its binding {self.name!r}"
        path = resolve_settings(str(binding.get("path") or ""), scope.environ, what)
        if "/" not in path.strip("/"):
            raise ConfigurationError(f"{what} is {path!r}", hint='It is a container and a name: "samples/{name}"')
        self._path = Template(path, what)
        self._connection = connection_string(binding.get("connection"), scope.environ)

    def _blob(self, storage: Storage, data: BindingData) -> tuple[str, Any]:
        """The blob's path and the SDK's client for it.

        :raises BindingFailed: if the path has an expression without a value.
        """
        path = self._path.fill(data).strip("/")
        container, _, name = path.partition("/")
        if not name:
            raise BindingFailed(f"the path {path!r} of the binding {self.name!r} names no blob")
        return path, storage.client("blob", self._connection).get_blob_client(container, name)


class BlobInput(_BlobBinding):
    """A blob that a function is given; nothing if it does not exist."""

    async def read(self, storage: Storage, data: BindingData) -> tuple[str, bytes]:
        """The blob's content (see :meth:`InputBinding.read`)."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        path, blob = self._blob(storage, data)
        try:
            download = await blob.download_blob()
            if download.size > MOST_BYTES:
                raise BindingFailed(
                    f"the blob {path} has {download.size} bytes; a function is given {MOST_BYTES} at most"
                )
            return "bytes", await download.readall()
        except ResourceNotFoundError:
            return "", b""
        except AzureError as error:
            raise BindingFailed(f"the blob {path} cannot be read: {error}") from error


class BlobOutput(_BlobBinding):
    """A blob that a function writes; one that exists is replaced."""

    async def write(self, storage: Storage, data: BindingData, kind: str, value: bytes) -> None:
        """Write the blob (see :meth:`OutputBinding.write`). A container that does not exist is made."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        path, blob = self._blob(storage, data)
        try:
            try:
                await blob.upload_blob(value, overwrite=True)
            except ResourceNotFoundError:
                container = storage.client("blob", self._connection).get_container_client(blob.container_name)
                await container.create_container()
                await blob.upload_blob(value, overwrite=True)
        except AzureError as error:
            raise BindingFailed(f"the blob {path} cannot be written: {error}") from error
