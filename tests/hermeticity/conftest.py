"""Sample workers are started as ``python3``; checks try pauses only where those are tested."""

import pytest


@pytest.fixture(autouse=True)
def quick_checks(no_pauses: None) -> None:
    """Tests of pauses and longer runs set what they need."""


@pytest.fixture(autouse=True)
def fast_python3(python3_is_this_interpreter: None) -> None:
    """Every check starts dozens of workers."""
