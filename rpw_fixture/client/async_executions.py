"""Executions in one asyncio loop: thousands at once without a thread for each.

Everything else that a client does takes milliseconds, and is done by `Client`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import grpc
import grpc.aio

from rpw_fixture.client import tls
from rpw_fixture.client.channel import EXECUTION, channel_options, request_error
from rpw_fixture.client.client import Client, response_of
from rpw_fixture.client.existing_server import ExistingServer, parse
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import methods
from rpw_fixture.wire.protos import remote_execution as reapi

#: How often a broken stream of one operation is taken up again.
_MOST_WAITS = 5
#: Statuses of a broken connection, not of the action; proxies report a reset as INTERNAL.
_BROKEN = frozenset((Code.UNAVAILABLE, Code.UNKNOWN, Code.INTERNAL))


class AsyncExecutions:
    """Execute calls to one server; made, used and closed in one running loop.

    Args:
        server: the endpoint, and what its calls need.
        client: a client of the same server, which describes the calls.

    Raises:
        ConfigError: for an endpoint or a file that cannot be used.
    """

    def __init__(self, server: ExistingServer, client: Client) -> None:
        self._client = client
        self._endpoint = server.endpoint
        self._headers = tuple((name.lower(), value) for name, value in server.headers.items())
        scheme, target = parse(server.endpoint)
        options = channel_options(target)
        files = (server.tls_ca, server.tls_cert, server.tls_key)
        if scheme == "grpcs":
            credentials = tls.credentials(ca=files[0], cert=files[1], key=files[2])
            self._channel = grpc.aio.secure_channel(target, credentials, options)
        else:
            tls.refuse_files(server.endpoint, *files)
            self._channel = grpc.aio.insecure_channel(target, options)
        self._methods = methods(EXECUTION)
        self._callables = {name: self._callable(name) for name in ("Execute", "WaitExecution")}

    async def run(
        self,
        digest: Digest,
        *,
        skip_cache_lookup: bool,
        inline_outputs: tuple[str, ...],
        seconds: float,
        on_operation: Callable[[str], None],
        target: str = "",
    ) -> reapi.ExecuteResponse:
        """Execute an action and return the response; take up a broken stream again.

        Args:
            digest: of the action.
            seconds: most seconds for all of it.
            on_operation: called with the name of the operation when it is known.

        Raises:
            RequestError: with the status of a call that failed.
        """
        request, metadata = self._client.execute_call(
            digest,
            skip_cache_lookup=skip_cache_lookup,
            inline_outputs=inline_outputs,
            mnemonic="RpwTrial",
            target=target,
        )
        deadline = time.monotonic() + seconds
        stream = self._stream("Execute", request, metadata, seconds)
        name = ""
        for left in reversed(range(_MOST_WAITS + 1)):
            try:
                async with aclosing(stream) as updates:
                    async for update in updates:
                        if update.name != name:
                            name = update.name
                            on_operation(name)
                        if update.done:
                            return response_of(update)
            except RequestError as error:
                if not left or not name or not _is_broken(error, deadline):
                    raise
            if not name:
                break
            rest = max(0.0, deadline - time.monotonic())
            stream = self._stream("WaitExecution", reapi.WaitExecutionRequest(name=name), (), rest)
        raise RequestError(Code.UNAVAILABLE, f"{self._endpoint} ended the stream too early")

    async def close(self) -> None:
        """Close the connection; running calls fail."""
        await self._channel.close()

    def _callable(self, name: str) -> Callable[..., Any]:
        method = self._methods[name]
        made: Callable[..., Any] = self._channel.unary_stream(
            method.path,
            request_serializer=method.request_class.SerializeToString,
            response_deserializer=method.response_class.FromString,
        )
        return made

    async def _stream(
        self, name: str, request: Any, metadata: tuple[tuple[str, bytes], ...], seconds: float
    ) -> AsyncGenerator[Any, None]:
        running = None
        try:
            running = self._callables[name](
                request, metadata=(*self._headers, *metadata), timeout=seconds
            )
            async for each in running:
                yield each
        except grpc.RpcError as error:
            raise request_error(self._endpoint, error, self._methods[name]) from None
        except grpc.aio.UsageError as error:  # raised when the channel is closed
            raise RequestError(Code.UNAVAILABLE, f"{self._endpoint}: {error}") from None
        finally:
            if running is not None:
                running.cancel()


def _is_broken(error: RequestError, deadline: float) -> bool:
    """Return whether a connection ended, and not the action: also by a time limit that is not ours."""
    if error.code is Code.DEADLINE_EXCEEDED:
        return time.monotonic() < deadline
    return error.code in _BROKEN
