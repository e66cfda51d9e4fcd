"""A real storage emulator, and short words for what tests do with its accounts."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from .hosting import wait_until

SCRIPT = Path(__file__).resolve().parents[1] / "azurite" / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
NODE = shutil.which("node")
MISSING = "" if NODE and SCRIPT.is_file() else "the storage emulator is not installed; make test does that, with npm"

_OPTIONS = [
    "--skipApiVersionCheck",
    "--disableTelemetry",
    *("--blobPort", "0", "--queuePort", "0", "--tablePort", "0"),
]
_SERVICES = ("Blob", "Queue", "Table")
_ACCOUNT = "devstoreaccount1"
_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


class Azurite:
    """A storage emulator that is running.

    :ivar connection: its connection string.
    :ivar ports: the ports that it listens on.
    """

    def __init__(self, ports: dict[str, int]) -> None:
        endpoints = "".join(f"{name}Endpoint=http://127.0.0.1:{ports[name]}/{_ACCOUNT};" for name in _SERVICES)
        self.ports = set(ports.values())
        self.connection = f"DefaultEndpointsProtocol=http;AccountName={_ACCOUNT};AccountKey={_KEY};{endpoints}"
        self.queues = QueueServiceClient.from_connection_string(self.connection)
        self.blobs = BlobServiceClient.from_connection_string(self.connection)
        self.tables = TableServiceClient.from_connection_string(self.connection)

    @property
    def settings(self) -> dict[str, Any]:
        """A ``local.settings.json`` whose storage account this is."""
        return {"IsEncrypted": False, "Values": {"AzureWebJobsStorage": self.connection}}

    def queue(self, name: str, *, base64: bool = True) -> Any:
        """The client of a queue, which is made if it does not exist."""
        encode, decode = (TextBase64EncodePolicy(), TextBase64DecodePolicy()) if base64 else (None, None)
        queue = self.queues.get_queue_client(name, message_encode_policy=encode, message_decode_policy=decode)
        with contextlib.suppress(ResourceExistsError):
            queue.create_queue()
        return queue

    def received(self, name: str, count: int, *, base64: bool = True) -> list[str]:
        """Wait for so many messages of a queue; their texts, in the order of the alphabet."""
        queue = self.queue(name, base64=base64)
        found: list[str] = []

        def all_of_them() -> bool:
            for message in queue.receive_messages(max_messages=32, visibility_timeout=300):
                found.append(message.content)
            return len(found) >= count

        wait_until(all_of_them, f"{count} messages in {name}; there were {found}")
        return sorted(found)

    def length(self, name: str) -> int:
        """How many messages a queue has, invisible ones among them; 0 if it does not exist."""
        try:
            return int(self.queues.get_queue_client(name).get_queue_properties().approximate_message_count)
        except ResourceNotFoundError:
            return 0

    def upload(self, path: str, content: bytes | str, **more: Any) -> None:
        """Write a blob; its container is made if it does not exist."""
        container, _, name = path.partition("/")
        with contextlib.suppress(ResourceExistsError):
            self.blobs.create_container(container)
        self.blobs.get_blob_client(container, name).upload_blob(content, overwrite=True, **more)

    def blob(self, path: str) -> bytes | None:
        """The content of a blob; ``None`` if it does not exist."""
        container, _, name = path.partition("/")
        try:
            return bytes(self.blobs.get_blob_client(container, name).download_blob().readall())
        except ResourceNotFoundError:
            return None


def unique(word: str) -> str:
    """A name that no other test uses."""
    return f"{word}{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def running_azurite() -> Iterator[Azurite]:
    """Run a storage emulator on free ports while the block runs.

    It keeps what it has in a temporary folder: in memory it stands still for minutes when it tidies up many messages.
    """
    assert NODE is not None
    folder = tempfile.mkdtemp(prefix="wx-azurite")
    process = subprocess.Popen(
        [NODE, str(SCRIPT), *_OPTIONS, "--location", folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "NODE_OPTIONS": ""},
    )
    assert process.stdout is not None
    lines: list[str] = []
    reader = threading.Thread(target=lambda: [lines.append(line) for line in process.stdout], daemon=True)
    reader.start()
    try:

        def ports() -> dict[str, int]:
            text = "".join(lines)
            assert process.poll() is None, text
            found = re.findall(r"Azurite (\w+) service is successfully listening at http://127\.0\.0\.1:(\d+)", text)
            return {name: int(port) for name, port in found} if len(found) == len(_SERVICES) else {}

        yield Azurite(wait_until(ports, "the storage emulator listens", timeout=60))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        reader.join(20)
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)
