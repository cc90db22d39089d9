"""A server for each test, and the marker that names the point a test is about."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.config import Config
from rpw_fixture.wire.digests import FUNCTIONS

from .client import Client
from .executing import Executor, Gate, executing
from .serving import Served, serving

#: What the whole suite runs on: the oldest API with one digest function, the newest with all.
FLAVOURS: dict[str, dict[str, Any]] = {
    "2.0": {"high_api_version": "2.0", "digest_functions": ("SHA256",)},
    "newest": {"digest_functions": tuple(FUNCTIONS)},
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "point(number): the conformance point a test is about")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Puts the numbers of its points into each test's id."""
    numbers = [mark.args[0] for mark in metafunc.definition.iter_markers("point")]
    if numbers:
        metafunc.fixturenames.append("points")
        told = "+".join(f"p{number}" for number in sorted(numbers))
        metafunc.parametrize("points", [numbers], ids=[told], indirect=True)


@pytest.fixture
def points(request: pytest.FixtureRequest) -> list[int]:
    """The points a test is about."""
    return request.param


@pytest.fixture
def serve(tmp_path: Path, api: str) -> Iterator[Callable[..., Served]]:
    """Starts a server with some settings changed."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Served:
            config = Config(**{**FLAVOURS[api], **settings})
            return stack.enter_context(serving(tmp_path / "cas", config))

        yield start


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A server as it comes."""
    return serve()


@pytest.fixture
def client(served: Served) -> Client:
    """A client of a server as it comes."""
    return served.client


@pytest.fixture(params=FLAVOURS)
def api(request: pytest.FixtureRequest) -> str:
    """The API version in whose manner the client speaks; a test's own settings come first."""
    return request.param


@pytest.fixture
def make_executor(api: str) -> Iterator[Callable[..., Executor]]:
    """Starts a whole server, with some settings changed, and a client that executes on it."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Executor:
            return stack.enter_context(executing(**{**FLAVOURS[api], **settings}))

        yield start


@pytest.fixture
def executor(make_executor: Callable[..., Executor]) -> Executor:
    """A client that executes on a server as it comes."""
    return make_executor()


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A place where an action waits for the test."""
    with contextlib.closing(Gate(tmp_path)) as gate:
        yield gate
