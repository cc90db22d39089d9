"""What every server has to offer on which trials run."""

from __future__ import annotations

from collections.abc import Callable

from rpw_fixture.client import Client
from rpw_fixture.errors import EnvironmentLacksError, RequestError


def require_execution(
    client: Client, option: str, *, hint_of: Callable[[Exception], str] = lambda _: ""
) -> None:
    """Ask a server for its capabilities.

    Args:
        client: the connection to the server.
        option: the option that named the server; messages begin with it.
        hint_of: returns what to add to the message of an error.

    Raises:
        EnvironmentLacksError: it does not answer, executes no actions, or uses a digest function that
            can't be computed here.
    """
    try:
        capabilities = client.capabilities()
        _ = client.digest_function  # raises if it can't be computed here
    except (RequestError, EnvironmentLacksError) as error:
        raise EnvironmentLacksError(f"{option}: {error}{hint_of(error)}") from None
    if not capabilities.execution_capabilities.exec_enabled:
        raise EnvironmentLacksError(f"{option}: {client.endpoint} executes no actions")
