"""The container engines of this machine, each found once."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .engines import IMAGE, Engine, find


@pytest.fixture(scope="session", params=["podman", "docker"])
def found_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine that runs containers of the test image."""
    # Podman takes no long paths.
    with tempfile.TemporaryDirectory(prefix="rpw-", ignore_cleanup_errors=True) as folder:
        engine = find(request.param, Path(folder))
        yield engine
        engine.call("rmi", "--force", IMAGE)


@pytest.fixture
def engine(found_engine: Engine) -> Iterator[Engine]:
    """The engine, for one test at a time; the test must leave no container behind."""
    with (Path(tempfile.gettempdir()) / "rpw_fixture-engine.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield found_engine
        left = found_engine.containers()
        if left:
            found_engine.call("rm", "--force", *left)
        assert not left
