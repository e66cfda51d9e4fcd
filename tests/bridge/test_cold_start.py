"""What importing ``worker_ext`` in a stock worker costs, over importing ``azure.functions``."""

from __future__ import annotations

import os
import subprocess
from statistics import median

from bridge.conftest import FLAG
from support.stock_runtime import ROOT, stock_python

LIMIT = 0.03  # seconds on a quiet machine
SDK = 0.3  # seconds that importing azure.functions takes on the same one: the yardstick for machines that are not

CODE = """
import sys, time
begun = time.process_time(); import azure.functions; sdk = time.process_time() - begun
import azure_functions_runtime
begun = time.process_time(); import worker_ext; ours = time.process_time() - begun
assert "worker_ext.bridge.bridge" in sys.modules
print(sdk, ours)
"""


def test_the_bridge_costs_at_most_30_ms():
    """Measured against the SDK's import in the same process, since a busy processor slows both alike."""
    environ = {**os.environ, FLAG: "1"}
    ratios = []
    for _ in range(7):
        command = [stock_python(), "-c", CODE]
        run = subprocess.run(command, capture_output=True, text=True, env=environ, check=True, cwd=ROOT)
        sdk, ours = map(float, run.stdout.split())
        ratios.append(ours / sdk)
    assert median(ratios) <= LIMIT / SDK, ratios
