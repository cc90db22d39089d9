"""The action under test, and the settings of its server."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rpw_fixture import Action, Config

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def rpw_config(rpw_config: Config) -> Config:
    # One worker at a time makes it plain who reused whose.
    return rpw_config.replace(max_workers_per_key=1)


@pytest.fixture
def action() -> Action:
    """What Bazel would send for ``upper(name = "hello", srcs = ["hello.in"])``."""
    return Action(
        arguments=[sys.executable, "-B", "upper/worker.py"],
        flagfile=["--out", "out/hello.txt", "example/hello.in"],
        inputs={"example/hello.in": "hello\n"},
        tool_inputs={"upper/worker.py": REPOSITORY / "upper/worker.py"},
        outputs=["out/hello.txt"],
        worker_key="upper",
        protocol="json",
        mnemonic="Upper",
        target="//example:hello",
    )
