"""An REAPI client for tests: it uploads, executes and downloads, against any endpoint.

Here is everything that talks to a server from the outside. It uses the public protocol only, nothing
that is private to the server of this package. The names are imported when they are first used, so that
`rpw_fixture.client.existing_server` can be imported without gRPC.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rpw_fixture.client.client import Client
    from rpw_fixture.client.outcome import ActionFailedError, ActionOutcome, OutputFiles

_MODULES = {
    "ActionFailedError": "rpw_fixture.client.outcome",
    "ActionOutcome": "rpw_fixture.client.outcome",
    "Client": "rpw_fixture.client.client",
    "OutputFiles": "rpw_fixture.client.outcome",
}

__all__ = ["ActionFailedError", "ActionOutcome", "Client", "OutputFiles"]


def __getattr__(name: str) -> object:
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(module), name)
