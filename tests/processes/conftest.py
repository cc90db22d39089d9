"""A spawner for each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rpw_fixture.processes.spawner import Spawner
from tests.waiting import until

from .programs import open_descriptors


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    gc.collect()
    before = open_descriptors()
    with Spawner() as spawner:
        yield spawner
    # Fewer where a connection of an earlier test was closed late.
    until(lambda: open_descriptors() <= before, "the spawner left descriptors")
