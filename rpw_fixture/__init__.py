"""An REAPI v2 server with real remote persistent workers, for tests, shells and CI.

The names in ``__all__`` are public. They are imported when they are first used, so that importing this
package, or loading the pytest plugin, is fast.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from rpw_fixture._version import __version__

if sys.platform == "win32":
    # Without this, a later import fails with the name of a module that Windows does not have.
    raise ImportError("rpw_fixture runs on Linux and macOS only; on Windows, use it inside WSL 2")

if TYPE_CHECKING:
    from rpw_fixture.client import ActionFailedError, ActionOutcome, Client
    from rpw_fixture.client.action import Action
    from rpw_fixture.client.inputs import EmptyFolder, File, Symlink
    from rpw_fixture.config import Config
    from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RequestError, RpwError
    from rpw_fixture.plugin.bazel_workspace import BazelFailedError
    from rpw_fixture.server import Server


_MODULES = {
    "Action": "rpw_fixture.client.action",
    "ActionFailedError": "rpw_fixture.client.outcome",
    "ActionOutcome": "rpw_fixture.client.outcome",
    "BazelFailedError": "rpw_fixture.plugin.bazel_workspace",
    "Client": "rpw_fixture.client.client",
    "Config": "rpw_fixture.config",
    "ConfigError": "rpw_fixture.errors",
    "EmptyFolder": "rpw_fixture.client.inputs",
    "EnvironmentLacksError": "rpw_fixture.errors",
    "File": "rpw_fixture.client.inputs",
    "RequestError": "rpw_fixture.errors",
    "RpwError": "rpw_fixture.errors",
    "Server": "rpw_fixture.server",
    "Symlink": "rpw_fixture.client.inputs",
}

__all__ = [
    "Action",
    "ActionFailedError",
    "ActionOutcome",
    "BazelFailedError",
    "Client",
    "Config",
    "ConfigError",
    "EmptyFolder",
    "EnvironmentLacksError",
    "File",
    "RequestError",
    "RpwError",
    "Server",
    "Symlink",
    "__version__",
]


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)


def __dir__() -> list[str]:
    return sorted(__all__)
