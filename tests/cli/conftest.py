"""Most tests are about what the commands read and write, not about what checks find."""

import pytest


@pytest.fixture(autouse=True)
def quick_checks(no_pauses: None) -> None:
    """A check of the command line takes a quarter of the time."""
