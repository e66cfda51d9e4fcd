"""Blob triggers, inputs and outputs of a real host, with a real storage emulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.azurite import Azurite, unique
from support.hosting import RunningHost, running_host, wait_until, write_app

APP = """
import json, logging
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
STORAGE = "AzureWebJobsStorage"

@app.blob_trigger(arg_name="blob", path="%BOX%/in/{name}.{ext}", connection=STORAGE)
@app.blob_output(arg_name="out", path="%BOX%/out/{name}.json", connection=STORAGE)
def describe(blob: func.InputStream, out: func.Out[str]) -> None:
    logging.info("describing %s", blob.name)
    out.set(json.dumps({"name": blob.name, "length": blob.length, "uri": blob.uri, "text": blob.read().decode(),
                        "metadata": blob.metadata, "type": blob.blob_properties["ContentType"]}))

@app.blob_trigger(arg_name="text", path="%BOX%/text/{name}", connection=STORAGE)
@app.blob_input(arg_name="other", path="%BOX%/other/{name}", connection=STORAGE)
@app.blob_output(arg_name="$return", path="%BOX%/joined/{name}", connection=STORAGE)
async def join(text: str, other: bytes) -> bytes:
    return text.encode() + b" and " + other

@app.blob_trigger(arg_name="blob", path="%BOX%/bad/{name}", connection=STORAGE)
def bad(blob: bytes) -> None:
    logging.info("bad blob")
    raise ValueError("bad blob")

@app.route(route="read/{name}")
@app.blob_input(arg_name="blob", path="%BOX%/read/{name}", connection=STORAGE)
def read(req: func.HttpRequest, blob: func.InputStream) -> str:
    return "nothing" if blob is None else blob.read().decode()

@app.route(route="write")
@app.blob_output(arg_name="out", path="%BOX%new/{rand-guid}/{datetime:yyyy}-{Query.name}", connection=STORAGE)
def write(req: func.HttpRequest, out: func.Out[bytes]) -> str:
    out.set(req.get_body())
    return "written"
"""


@pytest.fixture(scope="module")
def box() -> str:
    return unique("box")


@pytest.fixture(scope="module")
def folder(azurite: Azurite, box: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    settings = azurite.settings
    settings["Values"]["BOX"] = box
    return write_app(tmp_path_factory.mktemp("blobs"), {"function_app.py": APP, "local.settings.json": settings})


@pytest.fixture(scope="module")
def host(azurite: Azurite, box: str, folder: Path) -> Iterator[RunningHost]:
    azurite.upload(f"{box}/in/before.txt", "there before the host")
    with running_host(folder) as host:
        yield host


def made(azurite: Azurite, path: str) -> Any:
    return wait_until(lambda: azurite.blob(path), f"the blob {path} is written")


def test_a_blob_with_all_that_is_known_of_it(host: RunningHost, azurite: Azurite, box: str) -> None:
    azurite.upload(f"{box}/in/a.b.txt", "größer", metadata={"by": "me"})
    described = json.loads(made(azurite, f"{box}/out/a.b.json"))
    assert described["uri"].endswith(f"/{box}/in/a.b.txt")
    del described["uri"]
    assert described == {
        "name": f"{box}/in/a.b.txt",
        "length": 8,
        "text": "größer",
        "metadata": {"by": "me"},
        "type": "application/octet-stream",
    }
    host.wait_for(rf"Executing 'Functions.describe' \(Reason='New blob detected: {box}/in/a.b.txt'")


def test_a_blob_that_was_there_before_the_host_runs_too(host: RunningHost, azurite: Azurite, box: str) -> None:
    assert json.loads(made(azurite, f"{box}/out/before.json"))["text"] == "there before the host"


def test_a_blob_that_is_replaced_runs_again(host: RunningHost, azurite: Azurite, box: str) -> None:
    azurite.upload(f"{box}/in/twice.txt", "one")
    assert json.loads(made(azurite, f"{box}/out/twice.json"))["text"] == "one"
    azurite.upload(f"{box}/in/twice.txt", "two")
    wait_until(lambda: b'"two"' in (azurite.blob(f"{box}/out/twice.json") or b""), "the blob runs again")


def test_text_bytes_and_a_return_value(host: RunningHost, azurite: Azurite, box: str) -> None:
    azurite.upload(f"{box}/other/x", b"bytes")
    azurite.upload(f"{box}/text/x", "text")
    assert made(azurite, f"{box}/joined/x") == b"text and bytes"


def test_inputs_and_outputs_of_http_functions(host: RunningHost, azurite: Azurite, box: str) -> None:
    assert host.get("/api/read/missing").text == "nothing"
    azurite.upload(f"{box}/read/here", "here it is")
    assert host.get("/api/read/here").text == "here it is"
    assert host.request("POST", "/api/write?name=n", b"\x00\xff").text == "written"
    (written,) = azurite.blobs.get_container_client(f"{box}new").list_blobs()
    assert written.name[36:].startswith("/20")
    assert written.name.endswith("-n")
    assert azurite.blob(f"{box}new/{written.name}") == b"\x00\xff"


def test_an_expression_without_a_value_fails_the_function(host: RunningHost) -> None:
    answer = host.request("POST", "/api/write", b"x")
    assert answer.status == 500
    assert "{Query.name} has no value" in answer.text


def test_a_blob_that_fails_five_times_is_told_to_the_poison_queue(
    host: RunningHost, azurite: Azurite, box: str
) -> None:
    azurite.upload(f"{box}/bad/b", "x")
    (told,) = azurite.received("webjobs-blobtrigger-poison", 1, base64=False)
    poison = json.loads(told)
    assert (poison["FunctionId"], poison["ContainerName"], poison["BlobName"]) == ("Host.Functions.bad", box, "bad/b")
    assert sum(line.endswith("Z] bad blob") for line in host.lines) == 5


def test_a_blob_runs_once_though_the_host_starts_anew(azurite: Azurite, tmp_path: Path) -> None:
    box = unique("once")
    settings = azurite.settings
    settings["Values"]["BOX"] = box
    folder = write_app(tmp_path, {"function_app.py": APP, "local.settings.json": settings})
    azurite.upload(f"{box}/in/first.txt", "first")
    with running_host(folder) as host:
        host.wait_for("describing .*first.txt")
        made(azurite, f"{box}/out/first.json")
        host.wait_for("Executed 'Functions.describe'")
        host.process.kill()  # without any leave
    azurite.upload(f"{box}/in/second.txt", "second")
    with running_host(folder) as host:
        host.wait_for("describing .*second.txt")
        assert "first.txt" not in host.console
