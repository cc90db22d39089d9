"""Programs other than Python that some sample workers need.

Without one, a test is skipped with the reason; RPW_FIXTURE_REQUIRE_INTEROP=1 makes that a failure.
"""

from __future__ import annotations

import os
import shutil

import pytest


def require_program(name: str) -> str:
    """The absolute path of a program on PATH; skips or fails the test when there is none."""
    found = shutil.which(name)
    if found is not None:
        return found
    reason = f"{name} is not on PATH"
    if os.environ.get("RPW_FIXTURE_REQUIRE_INTEROP") == "1":
        pytest.fail(f"{reason}, and RPW_FIXTURE_REQUIRE_INTEROP=1 demands it", pytrace=False)
    pytest.skip(reason)
