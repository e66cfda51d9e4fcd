"""One storage emulator for all tests of storage triggers and bindings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.azurite import MISSING, Azurite, running_azurite


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """The storage emulator."""
    if MISSING:
        pytest.skip(MISSING)
    with running_azurite() as running:
        yield running
