"""A server of a test's own, and how long stress tests are.

RPW_FIXTURE_LONG=1 makes them as long as they were meant to be.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from rpw_fixture.server import Server
from tests.input_trees import cas, inputs, store  # noqa: F401 - fixtures

IS_LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"


@pytest.fixture
def mixed_actions() -> int:
    """How many actions over twenty keys."""
    return 1000 if IS_LONG else 200


@pytest.fixture
def multiplex_requests() -> int:
    """How many requests through one multiplex worker."""
    return 10_000 if IS_LONG else 500


@pytest.fixture
def server() -> Iterator[Server]:
    """A server that no other test uses, whatever is done to it."""
    with Server() as server:
        yield server
