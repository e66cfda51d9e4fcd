"""What the tests of Azure apps share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.hosting import write_app
from support.worker_driving import LoadBroken, driven_worker

from worker_ext.errors import IndexingError


@pytest.fixture
def broken(tmp_path: Path) -> LoadBroken:
    """Load an app that cannot be loaded, in a worker process, and give the reason."""

    def load(files: Mapping[str, Any], **options: Any) -> IndexingError:
        with driven_worker(write_app(tmp_path, files), **options) as worker:
            assert worker.broken is not None, worker.app
            worker.receive_all()
            assert worker.process.wait(20) == 0  # it has told its host; that is no crash
            return worker.broken

    return load
