"""``python -m benchmarks.soak``: long loads with faults, at full length. ``make test`` runs short editions of them.

Needs what ``make test`` installs, the storage emulator among it, and Linux.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    """Run both loads; the exit status is 1 if something was lost, hung or leaked."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000, help="queue messages while workers are killed; 0: none")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the mixed load; 0: none")
    arguments = parser.parse_args()
    sys.path.insert(0, str(ROOT / "tests"))
    from support.azurite import MISSING, running_azurite
    from support.soak import messages_while_workers_are_killed, mixed_load

    if MISSING:
        parser.error(MISSING)
    faults = []
    with running_azurite() as azurite, tempfile.TemporaryDirectory(prefix="worker-ext-soak-") as scratch:
        if arguments.messages:
            folder = Path(scratch) / "messages"
            messages = messages_while_workers_are_killed(azurite, folder, count=arguments.messages)
            print(messages, flush=True)
            faults += messages.faults
        if arguments.minutes:
            folder = Path(scratch) / "mixed"
            soak = mixed_load(azurite, folder, seconds=60 * arguments.minutes, kill_every=5.0, reload_every=20.0)
            print(soak, flush=True)
            faults += soak.faults
    for fault in faults:
        print(f"FAULT: {fault}")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
