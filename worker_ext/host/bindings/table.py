"""Table inputs and outputs.

Source: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-table
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...errors import ConfigurationError
from ..setting_values import resolve_settings
from ..storage import Storage, check_installed, connection_string
from .base import BindingData, BindingFailed, Scope
from .expressions import Template

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
_INT32 = 2**31


class _TableBinding:
    """A table, and keys that are templates.

    :param binding: the binding's JSON object.
    :param scope: what it may look up.
    :raises ConfigurationError: if a property or a setting is missing or wrong.
    """

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        check_installed("table")
        self.name = str(binding["name"])
        self._binding = binding
        self._scope = scope
        table = self._template("tableName")
        if table is None or (table.is_fixed and not _NAME.fullmatch(table.text)):
            raise ConfigurationError(
                f"the tableName of its binding {self.name!r} is {binding.get('tableName')!r}",
                hint="A table's name has 3 to 63 letters and digits, a letter first.",
            )
        self._table = table
        self._partition_key = self._template("partitionKey")
        self._row_key = self._template("rowKey")
        self._connection = connection_string(binding.get("connection"), scope.environ)

    def _template(self, key: str) -> Template | None:
        text = self._binding.get(key)
        if text in (None, ""):
            return None
        what = f"the {key} of its binding {self.name!r}"
        return Template(resolve_settings(str(text), self._scope.environ, what), what)

    def _client(self, storage: Storage, data: BindingData) -> Any:
        name = self._table.fill(data)
        if not _NAME.fullmatch(name):
            raise BindingFailed(f"{name!r} is no name of a table")
        return storage.client("table", self._connection).get_table_client(name)


class TableInput(_TableBinding):
    """One entity, if the binding has both keys, else a list of entities; JSON in either case."""

    def __init__(self, binding: Mapping[str, Any], scope: Scope) -> None:
        super().__init__(binding, scope)
        self._filter = self._template("filter")
        take = str(binding.get("take") or "")
        self._take = int(take) if take.isdecimal() else None
        if self._row_key is not None and self._partition_key is None:
            raise ConfigurationError(f"its binding {self.name!r} has a rowKey and no partitionKey")

    async def read(self, storage: Storage, data: BindingData) -> tuple[str, bytes]:
        """The entity or entities (see :meth:`InputBinding.read`); nothing for an entity that does not exist."""
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        client = self._client(storage, data)
        try:
            if self._partition_key is not None and self._row_key is not None:
                entity = await client.get_entity(self._partition_key.fill(data), self._row_key.fill(data))
                return "json", _to_json(entity)
            found: list[Any] = []
            async for entity in self._query(client, data):
                found.append(entity)
                if len(found) == self._take:
                    break
            return "json", b"[" + b",".join(map(_to_json, found)) + b"]"
        except ResourceNotFoundError:
            return ("", b"") if self._row_key is not None else ("json", b"[]")
        except AzureError as error:
            raise BindingFailed(f"the table {client.table_name} cannot be read: {error}") from error

    def _query(self, client: Any, data: BindingData) -> Any:
        conditions = []
        if self._partition_key is not None:
            conditions.append(f"PartitionKey eq '{_quoted(self._partition_key.fill(data))}'")
        if self._filter is not None:
            conditions.append(self._filter.fill(data, escape=_quoted))
        if not conditions:
            return client.list_entities()
        return client.query_entities(" and ".join(f"({condition})" for condition in conditions))


class TableOutput(_TableBinding):
    """Entities that a function adds."""

    async def write(self, storage: Storage, data: BindingData, kind: str, value: bytes) -> None:
        """Add an entity, or each of a list (see :meth:`OutputBinding.write`). A table that does not exist is made.

        As in Azure an entity that exists already is not replaced: that fails.
        """
        from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError

        client = self._client(storage, data)
        keys = {
            key: template.fill(data)
            for key, template in (("PartitionKey", self._partition_key), ("RowKey", self._row_key))
            if template is not None
        }
        for entity in self._entities(value, keys):
            try:
                try:
                    await client.create_entity(entity)
                except ResourceNotFoundError:
                    await client.create_table()
                    await client.create_entity(entity)
            except ResourceExistsError:
                keys_of_it = f"{entity['PartitionKey']!r} and {entity['RowKey']!r}"
                reason = f"the table {client.table_name} has an entity with the keys {keys_of_it} already"
                raise BindingFailed(reason) from None
            except AzureError as error:
                text = str(error).partition("\n")[0]
                raise BindingFailed(f"the table {client.table_name} has not taken an entity: {text}") from error

    def _entities(self, value: bytes, keys: Mapping[str, str]) -> list[dict[str, Any]]:
        try:
            document = json.loads(value)
        except ValueError as error:
            raise BindingFailed(f"the output {self.name!r} is no JSON, which a table needs: {error}") from None
        entities = []
        for entity in document if isinstance(document, list) else [document]:
            if not isinstance(entity, dict):
                raise BindingFailed(f"the output {self.name!r} must be an object or a list of objects")
            entity = {**keys, **{_key(name): _property(inner) for name, inner in entity.items() if inner is not None}}
            missing = [key for key in ("PartitionKey", "RowKey") if not isinstance(entity.get(key), str)]
            if missing:
                raise BindingFailed(f"an entity of the output {self.name!r} has no text for {' and '.join(missing)}")
            entities.append(entity)
        return entities


def _key(name: str) -> str:
    """A property's name; those of the keys may be written in any case."""
    return {"partitionkey": "PartitionKey", "rowkey": "RowKey"}.get(name.lower(), name)


def _property(value: Any) -> Any:
    """A property as the SDK takes it: a large number says so, what is no value becomes JSON."""
    if isinstance(value, int) and not isinstance(value, bool) and not -_INT32 <= value < _INT32:
        from azure.data.tables import EdmType, EntityProperty

        return EntityProperty(value, EdmType.INT64)
    return json.dumps(value) if isinstance(value, dict | list) else value


def _quoted(text: str) -> str:
    """Text that is put between the quotes of an OData expression."""
    return text.replace("'", "''")


def _to_json(entity: Mapping[str, Any]) -> bytes:
    return json.dumps({name: _plain(value) for name, value in entity.items()}).encode()


def _plain(value: Any) -> Any:
    """A property as JSON can carry it."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, tuple):  # a number of 64 bits, with its type
        return value[0]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
