"""Large data by way of files in memory."""

from __future__ import annotations

import struct
import sys
import uuid
from pathlib import Path

import pytest

from worker_ext.testing.rpc_host import RpcHost, messages

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the format is that of Linux")

APP = """
import azure.functions as func

app = func.FunctionApp()

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.blob_output(arg_name="out", path="b", connection="c")
def copy(msg: bytes, out: func.Out[bytes]) -> None:
    out.set(msg)

@app.queue_trigger(arg_name="msg", queue_name="q", connection="c")
@app.blob_output(arg_name="out", path="b", connection="c")
def copy_text(msg: str, out: func.Out[str]) -> None:
    out.set(msg)
"""

SWITCH = "FUNCTIONS_WORKER_SHARED_MEMORY_DATA_TRANSFER_ENABLED"
MEGABYTE = 1024 * 1024


@pytest.fixture
def memory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another place for the files than /dev/shm, which belongs to the machine."""
    return tmp_path_factory.mktemp("memory")


@pytest.fixture
def host(make_host, memory) -> RpcHost:
    return make_host({"function_app.py": APP}, environ={SWITCH: "1", "UNIX_SHARED_MEMORY_DIRECTORIES": str(memory)})


def put(memory: Path, content: bytes, *, claimed: int | None = None) -> str:
    """Write a file as the host does."""
    name = str(uuid.uuid4())
    folder = memory / "AzureFunctions"
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(struct.pack("<?q", True, len(content) if claimed is None else claimed) + content)
    return name


def place(name: str, count: int, kind: str = "bytes") -> messages.RpcSharedMemory:
    return messages.RpcSharedMemory(name=name, count=count, type=messages.RpcDataType.Value(kind))


def test_the_worker_can_do_it(host):
    assert host.capabilities["SharedMemoryDataTransfer"] == "true"


@pytest.mark.parametrize(("function", "kind"), [("copy", "bytes"), ("copy_text", "string")])
def test_large_data_goes_both_ways_through_memory(host, memory, function, kind):
    content = b"\xc3\xa4" * MEGABYTE
    response = host.call(function, {"msg": place(put(memory, content), len(content), kind)})
    (output,) = response.output_data
    shared = output.rpc_shared_memory
    assert (output.name, shared.count, messages.RpcDataType.Name(shared.type)) == ("out", len(content), kind)
    file = memory / "AzureFunctions" / shared.name
    initialised, length = struct.unpack("<?q", file.read_bytes()[:9])
    assert (initialised, length) == (True, len(content))
    assert file.read_bytes()[9:] == content
    closed = host.request(
        "close_shared_memory_resources_response",
        close_shared_memory_resources_request=messages.CloseSharedMemoryResourcesRequest(
            map_names=[shared.name, "stranger"]
        ),
    )
    assert dict(closed.close_map_results) == {shared.name: True, "stranger": False}
    assert not file.exists()


def test_small_data_goes_with_the_message(host, memory):
    response = host.call("copy", {"msg": place(put(memory, b"small"), 5)})
    assert response.output_data[0].data.bytes == b"small"


def test_nothing_is_shared_unless_it_is_switched_on(make_host, memory):
    host = make_host({"function_app.py": APP}, environ={"UNIX_SHARED_MEMORY_DIRECTORIES": str(memory)})
    response = host.call("copy", {"msg": b"x" * 2 * MEGABYTE})
    assert len(response.output_data[0].data.bytes) == 2 * MEGABYTE


@pytest.mark.parametrize(
    ("name", "count", "message"),
    [
        ("nothing", 5, "no shared memory called nothing"),
        ("../../etc/passwd", 5, "no name of a file"),
        ("", 5, "no name"),
    ],
)
def test_memory_that_is_not_there_fails_the_invocation(host, name, count, message):
    exception = host.call("copy", {"msg": place(name, count)}).result.exception
    assert message in exception.message


def test_memory_that_holds_less_than_is_said_fails_the_invocation(host, memory):
    for name in (put(memory, b"short"), put(memory, b"short", claimed=100)):
        exception = host.call("copy", {"msg": place(name, 100)}).result.exception
        assert "holds less than 100 bytes" in exception.message


def test_what_the_host_has_not_fetched_is_removed_at_the_end(host, memory):
    content = b"x" * 2 * MEGABYTE
    host.call("copy", {"msg": place(put(memory, content), len(content))})
    assert host.terminate() == 0
    assert len(list((memory / "AzureFunctions").iterdir())) == 1  # the host's own
