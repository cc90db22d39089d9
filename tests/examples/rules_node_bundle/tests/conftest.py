"""The action under test, and the settings of its server."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from rpw_fixture import Action, Config

REPOSITORY = Path(__file__).parents[1]
TOOLS = ("bundle/worker.js", "bundle/worker_loop.js")


@pytest.fixture(scope="session")
def node() -> str:
    """Path of Node.js."""
    found = shutil.which("node")
    if found is None:
        reason = "node is not on PATH (Debian: apt-get install nodejs)"
        (pytest.fail if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1" else pytest.skip)(
            reason
        )
    return found


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of the rules."""
    return REPOSITORY


@pytest.fixture(scope="session")
def rpw_config(rpw_config: Config) -> Config:
    # One worker at a time makes it plain who reused whose.
    return rpw_config.replace(max_workers_per_key=1)


@pytest.fixture
def action(node: str) -> Action:
    """What Bazel would send for ``bundle(name = "hello", entry = "hello.js", deps = ["greeting.js"])``."""
    modules = ["example/greeting.js", "example/hello.js"]
    return Action(
        arguments=[node, "bundle/worker.js"],
        flagfile=["--out", "hello.bundle.js", *modules],
        inputs={path: REPOSITORY / path for path in modules},
        tool_inputs={path: REPOSITORY / path for path in TOOLS},
        outputs=["hello.bundle.js"],
        worker_key="bundle",
        protocol="json",
        mnemonic="Bundle",
        target="//example:hello",
    )
