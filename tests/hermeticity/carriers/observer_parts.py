"""The parts of the observer of Python workers in this process, where each of them can be asked alone."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from rpw_fixture.hermeticity.carriers.observers.python import rpw_observer


def loaded() -> dict[str, Any]:
    """Return the parts by name, loaded anew, as a worker's observer loads them."""
    parts: dict[str, ModuleType] = {}
    for name in rpw_observer._PARTS:
        parts[name] = rpw_observer.run_file(name, parts)
    return parts


PARTS = loaded()
