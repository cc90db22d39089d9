"""The container engines of this machine, each found once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .engines import IMAGE, Engine, find


@pytest.fixture(scope="session", params=["podman", "docker"])
def found_engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """An engine that runs containers of the test image."""
    engine = find(request.param, tmp_path_factory.mktemp(request.param))
    yield engine
    engine.call("rmi", "--force", IMAGE)


@pytest.fixture
def engine(found_engine: Engine) -> Iterator[Engine]:
    """The engine; the test must leave no container behind."""
    yield found_engine
    left = found_engine.containers()
    if left:
        found_engine.call("rm", "--force", *left)
    assert not left
