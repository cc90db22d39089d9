"""Programs that the interop tests need from the machine.

Without one of them a test is skipped with a reason that tells how to get it. Where interop must
have run, RPW_FIXTURE_REQUIRE_INTEROP=1 turns that skip into a failure.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

REQUIRE_VARIABLE = "RPW_FIXTURE_REQUIRE_INTEROP"


def require_bazel() -> Path:
    """Path of ``bazel``; without one, skips or fails the test that asked."""
    return _require("bazel", "Debian: apt-get install bazel-bootstrap")


def require_jdk() -> Path:
    """Home of the JDK whose ``javac`` is on PATH; without one, skips or fails the test."""
    javac = _require("javac", "Debian: apt-get install default-jdk-headless")
    return javac.resolve().parents[1]


def _require(program: str, remedy: str) -> Path:
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not on PATH ({remedy})"
        if os.environ.get(REQUIRE_VARIABLE) == "1":
            pytest.fail(f"{reason}, and {REQUIRE_VARIABLE}=1 demands it", pytrace=False)
        pytest.skip(reason)
    return Path(found)
