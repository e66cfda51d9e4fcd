"""What `import worker_ext` costs an app: the extensions of every app import it when a worker starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from publishing.projects import ROOT

BUDGET = 0.03  # seconds
RUNS = 5

MEASURE = """
import json, sys, time
import azure.functions
before = set(sys.modules)
start = time.perf_counter()
import worker_ext
print(json.dumps([time.perf_counter() - start, sorted(set(sys.modules) - before)]))
"""


@pytest.fixture(scope="module")
def imports():
    """Seconds and imported modules of a few processes, each of which has imported azure.functions before."""
    command = [sys.executable, "-c", MEASURE]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = (subprocess.run(command, env=environ, capture_output=True, check=True, timeout=60) for _ in range(RUNS))
    return [json.loads(one.stdout) for one in done]


def test_takes_no_time(imports):
    # The fastest of them: whatever else the machine does makes it slower, and nothing makes it faster.
    assert min(seconds for seconds, _ in imports) < BUDGET


def test_brings_hardly_a_module_that_azure_functions_had_not_imported(imports):
    _, modules = imports[0]
    assert len(modules) <= 30, modules


def test_brings_neither_a_host_nor_a_third_party(imports):
    _, modules = imports[0]
    ours = {name for name in modules if name.startswith("worker_ext.")}
    assert not {name for name in ours if name.split(".")[1] in ("host", "cli", "runtimes", "transports")}
    assert {name.partition(".")[0] for name in modules} - {"worker_ext"} <= sys.stdlib_module_names
