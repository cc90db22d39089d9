"""The action under test, and the settings of its server."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from rpw_fixture import Action, Config

REPOSITORY = Path(__file__).parents[1]


def program(name: str) -> str:
    """Path of a program of the JDK."""
    found = shutil.which(name)
    if found is None:
        reason = f"{name} is not on PATH (Debian: apt-get install default-jdk-headless)"
        (pytest.fail if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1" else pytest.skip)(
            reason
        )
    return found


@pytest.fixture(scope="session")
def java() -> str:
    """Path of ``java``."""
    return program("java")


@pytest.fixture(scope="session")
def classes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the compiled worker."""
    folder = tmp_path_factory.mktemp("worker") / "classes"
    sources = sorted(str(path) for path in (REPOSITORY / "properties").glob("*.java"))
    subprocess.run([program("javac"), "-d", str(folder), *sources], check=True)
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder of the rules."""
    return REPOSITORY


@pytest.fixture(scope="session")
def rpw_config(rpw_config: Config) -> Config:
    # One worker at a time makes it plain who reused whose.
    return rpw_config.replace(max_workers_per_key=1)


@pytest.fixture
def action(java: str, classes: Path) -> Action:
    """What Bazel would send for a target ``properties``."""
    return Action(
        arguments=[java, "-XX:-UsePerfData", "-cp", "classes", "Merge"],
        flagfile=["--out", "out.properties", "a.properties", "b.properties"],
        inputs={"a.properties": "x=1\nz=1\n", "b.properties": "x=2\ny = 2\n"},
        tool_inputs={f"classes/{path.name}": path for path in classes.glob("*.class")},
        outputs=["out.properties"],
        worker_key="properties",
        mnemonic="Properties",
        target="//example:development",
    )
