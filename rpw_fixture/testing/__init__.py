"""The API of tests: an endpoint, and records, assertions and failure texts made from its events.

A server outside of a test needs none of this, so the modules are imported when they are first used.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpw_fixture.testing import assertions, explain, lookup, records, sample_workers

__all__ = ["assertions", "explain", "lookup", "records", "sample_workers"]


def __getattr__(name: str) -> ModuleType:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")
