"""What all tests of this repository share.

In CI nothing may be skipped for want of a program or an interpreter; a pytest that a test starts keeps to itself.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

NO_SKIPS = os.environ.get("WORKER_EXT_NO_SKIPS") == "1"

# How long an example takes says more of the machine than of the code; and an app that is served for all examples of a
# test is what makes them quick.
UNCHECKED = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("worker-ext", deadline=None, suppress_health_check=UNCHECKED)
settings.load_profile("worker-ext")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where everything that the tests need is to be installed."""
    report = yield
    if NO_SKIPS and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, which CI does not allow: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def _own_folders_for_children(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give each pytest that a test starts a place of its own for temporary folders.

    Where all share one, whoever ends first deletes the folders of sessions before: hundreds of thousands of files,
    which has taken some tests more than a minute now and then.
    """
    os.environ["PYTEST_DEBUG_TEMPROOT"] = str(tmp_path_factory.mktemp("children"))
