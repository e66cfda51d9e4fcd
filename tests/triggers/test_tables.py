"""Table inputs and outputs of a real host, with a real storage emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.azurite import Azurite, unique
from support.hosting import RunningHost, running_host, write_app

APP = """
import json
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"

@app.route(route="add")
@app.table_output(arg_name="out", table_name="%TABLE%", connection=STORAGE)
def add(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(req.get_body().decode())
    return "added"

@app.route(route="keyed/{row}")
@app.table_output(arg_name="out", table_name="%TABLE%", partition_key="keyed", row_key="{row}", connection=STORAGE)
def keyed(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(json.dumps({"Value": 1}))
    return "added"

@app.route(route="one/{part}/{row}")
@app.table_input(arg_name="entity", table_name="%TABLE%", partition_key="{part}", row_key="{row}", connection=STORAGE)
def one(req: func.HttpRequest, entity: str) -> str:
    return "nothing" if entity is None else entity

@app.route(route="all")
@app.table_input(arg_name="entities", table_name="%TABLE%", partition_key="p", take=2, connection=STORAGE)
def all_of_them(req: func.HttpRequest, entities) -> str:
    return entities

@app.route(route="find/{text}")
@app.table_input(arg_name="entities", table_name="%TABLE%", filter="Text eq '{text}'", connection=STORAGE)
def find(req: func.HttpRequest, entities) -> str:
    return entities

@app.route(route="none")
@app.table_input(arg_name="entities", table_name="NoSuchTable", connection=STORAGE)
def none(req: func.HttpRequest, entities) -> str:
    return entities
"""


@pytest.fixture(scope="module")
def host(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHost]:
    settings = azurite.settings
    settings["Values"]["TABLE"] = unique("Things")
    folder = write_app(tmp_path_factory.mktemp("tables"), {"function_app.py": APP, "local.settings.json": settings})
    with running_host(folder) as host:
        yield host


def add(host: RunningHost, document: Any) -> Any:
    return host.request("POST", "/api/add", json.dumps(document))


def test_entities_are_added_found_and_listed(host: RunningHost) -> None:
    first = {"PartitionKey": "p", "RowKey": "1", "Text": "it's", "Small": 5, "Big": 2**40, "Half": 0.5, "Yes": True}
    assert add(host, {**first, "Nothing": None, "Inner": {"a": [1]}}).text == "added"
    assert add(host, [{"PartitionKey": "p", "RowKey": str(row)} for row in (2, 3)]).text == "added"
    assert host.get("/api/one/p/1").json() == {**first, "Inner": '{"a": [1]}'}
    assert host.get("/api/one/p/4").text == "nothing"
    assert [entity["RowKey"] for entity in host.get("/api/all").json()] == ["1", "2"]
    assert [entity["RowKey"] for entity in host.get("/api/find/it's").json()] == ["1"]
    assert host.get("/api/find/'%20or%20RowKey%20ne%20'").json() == []  # a value cannot become part of the filter
    assert host.get("/api/none").json() == []


def test_keys_can_be_the_bindings(host: RunningHost) -> None:
    assert host.get("/api/keyed/r1").text == "added"
    assert host.get("/api/one/keyed/r1").json() == {"PartitionKey": "keyed", "RowKey": "r1", "Value": 1}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({"PartitionKey": "p", "RowKey": 5}, "has no text for RowKey"),
        ({"a": 1}, "has no text for PartitionKey and RowKey"),
        (["x"], "must be an object or a list of objects"),
    ],
)
def test_what_is_no_entity_fails_the_function(host: RunningHost, document: Any, reason: str) -> None:
    answer = add(host, document)
    assert answer.status == 500
    assert reason in answer.text


def test_an_entity_that_exists_is_not_replaced(host: RunningHost) -> None:
    entity = {"PartitionKey": "twice", "RowKey": "1"}
    assert add(host, entity).status == 200
    assert "has an entity with the keys 'twice' and '1' already" in add(host, entity).text


def test_text_that_is_no_json_fails_the_function(host: RunningHost) -> None:
    assert "is no JSON, which a table needs" in host.request("POST", "/api/add", "nonsense").text
