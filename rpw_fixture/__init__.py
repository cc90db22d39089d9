"""A real REAPI v2 server with real remote persistent workers, for tests, shells and CI.

The names below are the public ones. They are imported when they are first used, so that importing
this package, or loading the pytest plugin, costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpw_fixture.client import Action, ActionOutcome, Client
    from rpw_fixture.config import Config
    from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RpwError
    from rpw_fixture.server import Server

__version__ = "0.1.0"

_HOMES = {
    "Action": "rpw_fixture.client",
    "ActionOutcome": "rpw_fixture.client",
    "Client": "rpw_fixture.client",
    "Config": "rpw_fixture.config",
    "ConfigError": "rpw_fixture.errors",
    "EnvironmentLacksError": "rpw_fixture.errors",
    "RpwError": "rpw_fixture.errors",
    "Server": "rpw_fixture.server",
}

__all__ = [
    "Action",
    "ActionOutcome",
    "Client",
    "Config",
    "ConfigError",
    "EnvironmentLacksError",
    "RpwError",
    "Server",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
