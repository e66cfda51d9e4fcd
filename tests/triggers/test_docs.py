"""The app of docs/triggers.md does what that page says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from support.azurite import Azurite
from support.hosting import running_host, wait_until, write_app

from worker_ext.host.bindings.base import Scope
from worker_ext.host.settings import load_host_json
from worker_ext.host.storage_queues import queue_options

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "triggers.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}[^\n]*\n(.*?)```", PAGE, re.DOTALL)


def test_the_app_of_the_page(azurite: Azurite, tmp_path: Path) -> None:
    [app] = blocks("python")
    write_app(tmp_path, {"function_app.py": app, "local.settings.json": azurite.settings})
    with running_host(tmp_path) as host:
        assert host.request("POST", "/api/orders/a1", b"two of them").status == 202
        receipt = wait_until(lambda: azurite.blob("receipts/a1.txt"), "the order is handled")
        assert receipt == b"two of them, for the time 1"
        host.wait_for(r"receipts/a1\.txt has 27 bytes")
        host.wait_for(r"The next 5 occurrences of tidy \(Cron: '0 \*/5 \* \* \* \*'\)")
        row = wait_until(lambda: list(azurite.tables.get_table_client("orders").list_entities()), "the row is added")
        assert row == [{"PartitionKey": "orders", "RowKey": "a1"}]


def test_the_defaults_of_the_page(tmp_path: Path) -> None:
    [text] = blocks("json")
    write_app(tmp_path, {"host.json": json.loads(text)})
    shown = queue_options(Scope("f", {}, load_host_json(tmp_path, {})))
    default = queue_options(Scope("f", {}))
    assert {**vars(shown), "encoding": None} == {**vars(default), "encoding": None}
    assert vars(shown.encoding) == vars(default.encoding)
