"""What tests of several folders share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.installed_package import installed_package


@pytest.fixture(scope="session")
def installed_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with only the package and what it requires; see installed_package.py."""
    base = tmp_path_factory.getbasetemp()
    # Each process of pytest-xdist has a folder below that of the run.
    is_worker = base.name.startswith("popen-")
    return installed_package(base.parent if is_worker else base)
