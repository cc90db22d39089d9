"""A server for each test, and the marker that names the point a test is about."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.config import Config

from .client import Client
from .serving import Served, serving


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "point(number): the conformance point a test is about")


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts a server with some settings changed."""
    with contextlib.ExitStack() as stack:

        def start(**settings: Any) -> Served:
            return stack.enter_context(serving(tmp_path / "cas", Config(**settings)))

        yield start


@pytest.fixture
def served(serve: Callable[..., Served]) -> Served:
    """A server as it comes."""
    return serve()


@pytest.fixture
def client(served: Served) -> Client:
    """A client of a server as it comes."""
    return served.client
