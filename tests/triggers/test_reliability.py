"""Short editions of what benchmarks/soak.py does at full length."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from support.azurite import Azurite
from support.soak import messages_while_workers_are_killed, mixed_load

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found in /proc")


def test_no_message_is_lost_while_workers_are_killed(azurite: Azurite, tmp_path: Path) -> None:
    found = messages_while_workers_are_killed(azurite, tmp_path, count=200, kill_every=1.0)
    print(found)
    assert found.faults == []
    assert found.kills > 0


def test_a_mixed_load_with_kills_and_reloads_leaves_nothing_behind(azurite: Azurite, tmp_path: Path) -> None:
    found = mixed_load(azurite, tmp_path, seconds=8, kill_every=2.0, reload_every=3.0)
    print(found)
    assert found.faults == []
    assert (found.messages.kills > 0, found.reloads > 0) == (True, True)
