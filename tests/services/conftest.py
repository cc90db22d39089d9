"""A small store, for what services keep in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import DigestFunctions


@pytest.fixture
def cas(tmp_path: Path) -> Cas:
    """A store of a kilobyte that keeps every blob in a file below ``tmp_path``."""
    return Cas(
        DigestFunctions(["SHA256"]),
        folder=tmp_path,
        memory_bytes=1000,
        spill_threshold=1,
        max_bytes=1000,
        durable=False,
    )
