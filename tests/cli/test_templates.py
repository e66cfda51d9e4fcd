"""Every template makes, in both models, a function that the worker loads."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.hosting import RunningHost, running_host
from support.worker_driving import DrivenWorker, Result, driven_worker

from worker_ext.cli.main import main
from worker_ext.cli.templates import TEMPLATES, FunctionTemplate, find_template
from worker_ext.runtimes.azure.trigger_payload import encode_trigger

ROOT = Path(__file__).resolve().parents[2]
NAMES = [template.name for template in TEMPLATES]
IN_BOTH = [(model, name) for model in ("v1", "v2") for name in NAMES]


@pytest.fixture(scope="module")
def apps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An app with a function of every template, for each model."""
    made = {}
    for model in ("v1", "v2"):
        folder = made[model] = tmp_path_factory.mktemp(model)
        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.chdir(folder)
            monkeypatch.setattr(sys, "stdin", io.StringIO())
            main(["init", "--python", "-m", model])
            for name in NAMES:
                assert main(["new", "-t", name, "-n", f"my-{name}", "-m", model]) == 0
    return made


@pytest.fixture(scope="module")
def workers(apps: dict[str, Path]) -> Iterator[dict[str, DrivenWorker]]:
    """A worker that has loaded each of them."""
    with driven_worker(apps["v1"]) as v1, driven_worker(apps["v2"]) as v2:
        yield {"v1": v1, "v2": v2}


@pytest.mark.parametrize(("model", "name"), IN_BOTH)
def test_the_worker_loads_it(workers: dict[str, DrivenWorker], model: str, name: str) -> None:
    assert workers[model].problems == {}
    assert f"my-{name}" in workers[model].functions


def bindings(worker: DrivenWorker, name: str) -> dict[str, dict[str, object]]:
    found = worker.functions[f"my-{name}"]["bindings"]
    return {binding["name"]: {**binding, "direction": str(binding["direction"]).lower()} for binding in found}


SPELT_ALIKE = ("name", "direction", "type", "path", "connection", "queueName", "topicName", "schedule", "route")


@pytest.mark.parametrize("name", NAMES)
def test_both_models_make_the_same_bindings(workers: dict[str, DrivenWorker], name: str) -> None:
    v1, v2 = (bindings(workers[model], name) for model in ("v1", "v2"))
    assert v1.keys() == v2.keys()
    for binding, fields in v1.items():
        for field in SPELT_ALIKE:
            # The v2 model writes down a route that the function has anyway, and has a new name for one binding.
            if (field, v2[binding].get(field)) in (
                ("route", f"my-{name}"),
                ("route", v2[binding].get("topic")),
                ("type", "durableClient"),
            ):
                continue
            assert fields.get(field) == v2[binding].get(field), (binding, field)


@pytest.mark.parametrize(("model", "name"), IN_BOTH)
def test_the_settings_that_it_refers_to_are_in_the_settings_file(
    apps: dict[str, Path], workers: dict[str, DrivenWorker], model: str, name: str
) -> None:
    settings = json.loads((apps[model] / "local.settings.json").read_text())["Values"]
    for binding in bindings(workers[model], name).values():
        for field in ("connection", "connectionStringSetting", "brokerList"):
            assert binding.get(field) is None or binding[field] in settings


def test_the_packages_that_it_imports_are_in_the_requirements(apps: dict[str, Path]) -> None:
    for folder in apps.values():
        lines = (folder / "requirements.txt").read_text().splitlines()
        assert [line for line in lines if not line.startswith("#") and line] == [
            "azure-functions",
            "azure-functions-durable>=1.2.10,<2",
            "python-worker-extension-timer",
        ]


def test_what_is_added_beside_the_function_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--python"])
    main(["new", "-t", "Durable Functions activity", "-n", "Hello"])
    main(["new", "-t", "Event Hub trigger", "-n", "Events"])
    printed = capsys.readouterr().out
    assert "Adding azure-functions-durable>=1.2.10,<2 to requirements.txt" in printed
    assert "Install it with: pip install -r requirements.txt" in printed
    assert "Adding the setting EventHubConnectionString to local.settings.json; give it its value there" in printed


def test_what_is_there_already_is_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["init", "--python"])
    (folder / "requirements.txt").write_bytes(b"azure-functions\r\nAzure_Functions.Durable[x] == 1.3  # ours")
    main(["settings", "add", "eventhubconnectionstring", "s3cret"])
    capsys.readouterr()
    main(["new", "-t", "Durable Functions activity", "-n", "Hello"])
    main(["new", "-t", "EventHubTrigger", "-n", "Events"])
    assert "Adding" not in capsys.readouterr().out
    assert (folder / "requirements.txt").read_bytes().endswith(b"# ours")


@pytest.mark.parametrize("template", TEMPLATES, ids=NAMES)
def test_its_names_lead_to_it_and_to_no_other(template: FunctionTemplate) -> None:
    for name in (template.name, template.title, *template.other_titles):
        for spelling in (name, name.lower(), name.title(), name.replace(" ", "")):
            assert find_template(spelling) is template


@pytest.mark.parametrize(
    "name",
    ["HTTP trigger", "Azure Blob Storage trigger", "EventGrid Blob trigger", "ServiceBus Queue trigger", "SqlTrigger"],
)
def test_the_stock_tool_s_names(name: str) -> None:
    assert find_template(name) is not None


def test_the_generated_code_keeps_to_the_rules_of_this_repository(apps: dict[str, Path]) -> None:
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "ruff",
            "check",
            "--config",
            str(ROOT / "pyproject.toml"),
            "--select",
            "F,E,B",
            *apps.values(),
        ],
        capture_output=True,
        text=True,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.fixture(scope="module", params=["v1", "v2"])
def host(request: pytest.FixtureRequest, apps: dict[str, Path]) -> Iterator[RunningHost]:
    names = ("HttpTrigger", "HttpTriggerWithExtension")
    with running_host(apps[request.param], "--functions", *(f"my-{name}" for name in names)) as host:
        yield host


def test_the_http_function_answers(host: RunningHost) -> None:
    assert host.get("/api/my-HttpTrigger?name=Ada").text.startswith("Hello, Ada.")


def test_the_extension_of_the_template_with_one_runs(host: RunningHost) -> None:
    assert host.get("/api/my-HttpTriggerWithExtension").status == 200
    host.wait_for(r"TimerExtension tells how long this takes\.\n.*\[TimerExtension\] ")


WITH_README = (
    *("QueueTrigger", "TimerTrigger", "EventGridBlobTrigger", "ServiceBusTopicTrigger", "KafkaTrigger", "KafkaOutput"),
    *("RabbitMQTrigger", "SqlTrigger", "SqlInputBinding", "SqlOutputBinding"),
    *("MySqlTrigger", "MySqlInputBinding", "MySqlOutputBinding"),
    *("DaprServiceInvocationTrigger", "DaprTopicTrigger", "DaprPublishOutputBinding"),
)
"""Those for which Core Tools write a readme in the v1 model."""


def test_a_readme_is_where_the_stock_tool_writes_one(apps: dict[str, Path]) -> None:
    assert {path.parent.name for path in apps["v1"].glob("*/*.md")} == {f"my-{name}" for name in WITH_README}
    assert [path.name for path in apps["v2"].rglob("*.md")] == ["getting_started.md"]


@pytest.mark.parametrize("name", WITH_README)
def test_a_readme_is_about_the_settings_of_the_function(apps: dict[str, Path], name: str) -> None:
    folder = apps["v1"] / f"my-{name}"
    text = (folder / "readme.md").read_text()
    assert text.startswith(f"# my-{name}: ")
    declared = json.loads((folder / "function.json").read_text())["bindings"]
    known = {key for binding in declared for key in binding}
    told = {key for row in re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE) for key in row.split(", ")}
    optional = {"runOnStartup", "useMonitor", "protocol", "authenticationMode", "username", "password", "parameters"}
    assert told - optional <= known


@pytest.fixture(scope="module")
def host_of_all(apps: dict[str, Path]) -> Iterator[RunningHost]:
    with running_host(apps["v1"]) as host:
        yield host


@pytest.mark.parametrize("name", sorted({*WITH_README} - {"EventGridBlobTrigger"}))  # which needs a blob that is there
def test_what_a_readme_says_to_run_runs(apps: dict[str, Path], host_of_all: RunningHost, name: str) -> None:
    text = (apps["v1"] / f"my-{name}" / "readme.md").read_text()
    command = next((shlex.split(line[2:]) for line in text.splitlines() if line.startswith("$ curl ")), None)
    if command is None:
        assert "does not serve this function" in text
        host_of_all.wait_for(f"The 'my-{name}' function is in error: .*is not available on this host")
        return
    path = command[-1].removeprefix("http://localhost:7071")
    body = command[command.index("-d") + 1]
    assert host_of_all.request("POST", path, body, {"content-type": "application/json"}).status in (200, 201, 202)
    host_of_all.wait_for(rf"Executed 'Functions\.my-{name}' \(Succeeded")


GIVEN = {
    "QueueTrigger": ("message", "string", b"text", {"Id": "1", "DequeueCount": 1}, "got message 1: text"),
    "BlobTrigger": ("blob", "bytes", b"12345", {"BlobTrigger": "mycontainer/a"}, "got mycontainer/a, "),
    "TimerTrigger": ("timer", "json", b'{"IsPastDue": true}', {}, "The timer is past due."),
    "ServiceBusQueueTrigger": (
        "message",
        "bytes",
        b"text",
        {"MessageId": "1", "UserProperties": {}},
        "got message 1: text",
    ),
    "ServiceBusTopicTrigger": (
        "message",
        "bytes",
        b"text",
        {"MessageId": "1", "UserProperties": {}},
        "got message 1: text",
    ),
    "EventGridTrigger": (
        "event",
        "json",
        b'{"id": "1", "topic": "t", "subject": "s", "eventType": "e", "eventTime": "2026-01-01T00:00:00Z",'
        b' "data": {"a": 1}, "dataVersion": "1"}',
        {},
        "got event 1 about s: {'a': 1}",
    ),
    "CosmosDBTrigger": ("documents", "json", b'[{"id": "7"}]', {}, "changed document: 7"),
    "DurableFunctionsActivity": ("name", "json", b'"Ada"', {}, "greets Ada."),
    "KafkaTrigger": ("event", "string", b'{"Value": "text"}', {}, "got an event: "),
    "RabbitMQTrigger": ("message", "string", b"text", {}, "got a message: text"),
    "SqlTrigger": ("changes", "string", b'[{"Operation": 0}]', {}, "changed row: {'Operation': 0}"),
    "MySqlTrigger": ("changes", "string", b'[{"Operation": 0}]', {}, "changed row: {'Operation': 0}"),
    "DaprTopicTrigger": ("event", "string", b"text", {}, "got an event: text"),
    "DaprPublishOutputBinding": ("payload", "string", b"text", {}, "publishes"),
    "DaprServiceInvocationTrigger": ("payload", "string", b"text", {}, "invoked with: text"),
    "MCPToolTrigger": ("request", "string", b"{}", {}, "was called: {}"),
}
"""What triggers give: name, kind and data of the input, the metadata; and what the function logs of it."""


@pytest.mark.parametrize("name", GIVEN)
@pytest.mark.parametrize("model", ["v1", "v2"])
def test_the_function_handles_what_its_trigger_gives(workers: dict[str, DrivenWorker], model: str, name: str) -> None:
    binding, kind, data, metadata, expected = GIVEN[name]
    worker = workers[model]
    payload = encode_trigger([(binding, kind, data)], metadata=metadata)
    answer = worker.answer(worker.invoke(f"my-{name}", payload))
    assert isinstance(answer, Result), answer
    logged = [line[2] for line in (*answer.lines, *(line for _, line in worker.logs))]
    assert any(expected in text for text in logged), logged


def test_an_event_hub_function_gets_events_in_batches(workers: dict[str, DrivenWorker]) -> None:
    payload = encode_trigger(
        [("events", "json", b"[1, 2]")],
        metadata={"SystemPropertiesArray": [{}, {}], "PropertiesArray": [{}, {}]},
    )
    for worker in workers.values():
        answer = worker.answer(worker.invoke("my-EventHubTrigger", payload))
        assert isinstance(answer, Result), answer
        assert [line[2].rpartition(": ")[2] for line in answer.lines] == ["1", "2"]
