"""A spawner for each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from rpw_fixture.processes.spawner import Spawner

from .programs import open_descriptors


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    gc.collect()
    before = open_descriptors()
    with Spawner() as spawner:
        yield spawner
    assert open_descriptors() == before
