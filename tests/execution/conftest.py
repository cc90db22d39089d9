"""Roots and outputs for tests of what happens between Execute and the reply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.storage.blobs import BlobStore
from tests.execution.staging.staged_roots import Root
from tests.input_trees import cas, inputs, store  # noqa: F401 - fixtures

from .collected_outputs import Work


@pytest.fixture(scope="module")
def watcher() -> Iterator[FolderWatcher]:
    """One for all roots, as a server has it; closing one takes the kernel many milliseconds."""
    made = FolderWatcher()
    yield made
    made.close()


@pytest.fixture(params=["compared", "watched"])
def root(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    inputs,  # noqa: F811
    watcher: FolderWatcher,
) -> Iterator[Root]:
    """A root that compares everything, and one that gets reports of changes."""
    made = Root(tmp_path, inputs, watcher if request.param == "watched" else None)
    with made.own:
        yield made


@pytest.fixture
def work(tmp_path: Path, store: BlobStore) -> Iterator[Work]:  # noqa: F811
    made = Work(tmp_path, store)
    with made.own:
        yield made
