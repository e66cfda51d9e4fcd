"""What worker-ext costs: an app that imports it, and somebody who installs it without extras."""

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


ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def imports():
    """Seconds and imported modules of a few processes, each of which has imported azure.functions before."""
    command = [sys.executable, "-c", MEASURE]
    done = (subprocess.run(command, env=ENVIRON, capture_output=True, check=True, timeout=60) for _ in range(RUNS))
    return [json.loads(one.stdout) for one in done]


class TestImport:
    def test_takes_no_time(self, imports):
        # The fastest of them: whatever else the machine does makes it slower, and nothing makes it faster.
        assert min(seconds for seconds, _ in imports) < BUDGET

    def test_brings_hardly_a_module_that_azure_functions_had_not_imported(self, imports):
        _, modules = imports[0]
        assert len(modules) <= 30, modules

    def test_brings_neither_a_host_nor_a_third_party(self, imports):
        _, modules = imports[0]
        ours = {name for name in modules if name.startswith("worker_ext.")}
        assert not {name for name in ours if name.split(".")[1] in ("host", "cli", "runtimes", "transports")}
        assert {name.partition(".")[0] for name in modules} - {"worker_ext"} <= sys.stdlib_module_names


class TestBareInstall:
    """The commands with the standard library alone, without so much as a ``site-packages`` folder."""

    @staticmethod
    def func(*arguments, cwd):
        command = [sys.executable, "-S", "-m", "worker_ext", *arguments]
        return subprocess.run(command, cwd=cwd, env=ENVIRON, capture_output=True, text=True, timeout=60)

    @pytest.mark.parametrize("arguments", [["--version"], ["help"], ["init", "--python"]])
    def test_is_enough_for_what_runs_no_app(self, arguments, tmp_path):
        done = self.func(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr

    def test_says_what_the_local_host_needs(self, tmp_path):
        done = self.func("host", "start", cwd=tmp_path)
        assert done.returncode == 1
        assert "pip install 'worker-ext[host]'" in done.stderr
