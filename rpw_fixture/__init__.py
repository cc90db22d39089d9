"""A real REAPI v2 server with real remote persistent workers, for tests, shells and CI.

The names below are the public ones. They are imported when they are first used, so that importing
this package, or loading the pytest plugin, costs next to nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from rpw_fixture._version import __version__

if sys.platform == "win32":
    # Here, because everything else fails later and with the name of some module that Windows lacks.
    raise ImportError("rpw_fixture runs on Linux and macOS only; on Windows, use it inside WSL 2")

if TYPE_CHECKING:
    from rpw_fixture.client import ActionFailedError, ActionOutcome, Client
    from rpw_fixture.client.action import Action
    from rpw_fixture.client.inputs import EmptyFolder, File, Symlink
    from rpw_fixture.config import Config
    from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RpwError
    from rpw_fixture.server import Server


_HOMES = {
    "Action": "rpw_fixture.client.action",
    "ActionFailedError": "rpw_fixture.client",
    "ActionOutcome": "rpw_fixture.client",
    "Client": "rpw_fixture.client",
    "Config": "rpw_fixture.config",
    "ConfigError": "rpw_fixture.errors",
    "EmptyFolder": "rpw_fixture.client.inputs",
    "EnvironmentLacksError": "rpw_fixture.errors",
    "File": "rpw_fixture.client.inputs",
    "RpwError": "rpw_fixture.errors",
    "Server": "rpw_fixture.server",
    "Symlink": "rpw_fixture.client.inputs",
}

__all__ = [
    "Action",
    "ActionFailedError",
    "ActionOutcome",
    "Client",
    "Config",
    "ConfigError",
    "EmptyFolder",
    "EnvironmentLacksError",
    "File",
    "RpwError",
    "Server",
    "Symlink",
    "__version__",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted(__all__)
