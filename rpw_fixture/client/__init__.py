"""An REAPI client for tests: it uploads, executes and downloads, against any endpoint.

Lives here: everything that talks to a server from the outside. It knows the public protocol only,
never the insides of our own server.
"""

from __future__ import annotations

from rpw_fixture.client.client import Client
from rpw_fixture.client.outcome import ActionFailedError, ActionOutcome, OutputFiles

__all__ = ["ActionFailedError", "ActionOutcome", "Client", "OutputFiles"]
