import os
import sys
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def python3_is_this_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Version managers put slow shell scripts in front of python3."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
