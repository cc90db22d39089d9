"""The forms in which the program is given away, built once for all tests."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.requirements import REQUIRE_VARIABLE

from .programs import Programs

#: A folder that `.ci/binary` has filled.
FOLDER_VARIABLE = "RPW_FIXTURE_BINARIES"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with wheel, sdist, single file and zipapp."""
    if given := os.environ.get(FOLDER_VARIABLE):
        return Path(given)
    if os.environ.get(REQUIRE_VARIABLE) != "1":
        pytest.skip(f"{FOLDER_VARIABLE} does not name a folder that .ci/binary has filled")
    # The parent is shared by all processes of pytest-xdist.
    folder = tmp_path_factory.getbasetemp().parent / "binaries"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            environment = {**os.environ, "PYTHON": str(Path(sys.executable).resolve())}
            subprocess.run([ROOT / ".ci" / "binary", folder], env=environment, check=True)
    return folder


@pytest.fixture(scope="session")
def programs(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Programs]:
    """The forms of the program, which share a cache folder."""
    return Programs(built, tmp_path_factory.mktemp("cache"))
