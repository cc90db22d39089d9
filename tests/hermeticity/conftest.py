"""Sample workers are started as ``python3``."""

import pytest


@pytest.fixture(autouse=True)
def fast_python3(python3_is_this_interpreter: None) -> None:
    """Every check starts dozens of workers."""
