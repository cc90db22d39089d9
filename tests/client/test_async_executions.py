"""Executions in an asyncio loop: streams that break, and what can't be taken up again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from rpw_fixture import Client
from rpw_fixture.client.async_executions import AsyncExecutions
from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import Code, ConfigError, RequestError, RpwError
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

from .fake_server import Answer, BrokenError, done, fake_server, under_way

DIGEST = SHA256.of(b"action")


def execute(
    seconds: float = 60, *, is_closed: bool = False, tls_ca: str | None = None, **answers: Answer
) -> tuple[reapi.ExecuteResponse | RpwError, list[str], list[tuple[str, Any]]]:
    """Execute an action once; return the response or the error, the names seen, and the calls."""
    names: list[str] = []

    async def run(server: ExistingServer, client: Client) -> reapi.ExecuteResponse:
        executions = AsyncExecutions(server, client)
        if is_closed:
            await executions.close()
        try:
            return await executions.run(
                DIGEST,
                skip_cache_lookup=True,
                inline_outputs=("out",),
                seconds=seconds,
                on_operation=names.append,
                target="//a",
            )
        finally:
            await executions.close()

    with fake_server(**answers) as (endpoint, calls), Client(endpoint) as client:
        server = ExistingServer(endpoint=endpoint, tls_ca=tls_ca)
        try:
            return asyncio.run(run(server, client)), names, calls
        except RpwError as error:
            # Its frames hold the channel, whose thread ends with it.
            error.__traceback__ = error.__context__ = None
            return error, names, calls


def broken(code: grpc.StatusCode, *before: longrunning.Operation) -> Answer:
    def answer(_request: object) -> Iterator[longrunning.Operation]:
        yield from before
        raise BrokenError(code)

    return answer


def waits(calls: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in calls if name in {"Execute", "WaitExecution"}]


def test_an_action_is_executed_and_its_operation_named_once() -> None:
    updates = [under_way("op"), under_way("op"), done("op")]
    response, names, calls = execute(Execute=lambda _: iter(updates))
    assert isinstance(response, reapi.ExecuteResponse)
    assert response.result.exit_code == 3
    assert names == ["op"]
    (request,) = (request for name, request in calls if name == "Execute")
    assert request.action_digest.hash == DIGEST.hash
    assert request.skip_cache_lookup
    assert list(request.inline_output_files) == ["out"]


@pytest.mark.parametrize("code", ["UNAVAILABLE", "UNKNOWN", "INTERNAL", "DEADLINE_EXCEEDED"])
def test_a_stream_that_breaks_is_taken_up_again(code: str) -> None:
    response, names, calls = execute(
        Execute=broken(grpc.StatusCode[code], under_way("op")),
        WaitExecution=lambda request: iter([done(request.name)]),
    )
    assert isinstance(response, reapi.ExecuteResponse)
    assert names == ["op"]
    assert waits(calls) == ["Execute", "WaitExecution"]


def test_a_stream_that_just_ends_is_taken_up_again_five_times() -> None:
    response, _, calls = execute(
        Execute=lambda _: iter([under_way("op")]), WaitExecution=lambda _: iter([under_way("op")])
    )
    assert isinstance(response, RequestError)
    assert response.code is Code.UNAVAILABLE
    assert "ended the stream too early" in response.message
    assert waits(calls) == ["Execute", *["WaitExecution"] * 5]


def test_a_stream_that_breaks_again_and_again_is_given_up() -> None:
    again = broken(grpc.StatusCode.UNAVAILABLE, under_way("op"))
    response, _, calls = execute(Execute=again, WaitExecution=again)
    assert isinstance(response, RequestError)
    assert "as the test wants it" in response.message
    assert waits(calls) == ["Execute", *["WaitExecution"] * 5]


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (broken(grpc.StatusCode.UNAVAILABLE), Code.UNAVAILABLE),
        (broken(grpc.StatusCode.PERMISSION_DENIED, under_way("op")), Code.PERMISSION_DENIED),
        (lambda _: iter(()), Code.UNAVAILABLE),
    ],
    ids=["before its name", "refused", "empty"],
)
def test_what_can_not_be_taken_up_again_is_raised(answer: Answer, code: Code) -> None:
    response, _, calls = execute(Execute=answer)
    assert isinstance(response, RequestError)
    assert response.code is code
    assert waits(calls) == ["Execute"]


def test_the_time_limit_ends_it() -> None:
    def hang(_request: object) -> Iterator[longrunning.Operation]:
        yield under_way("op")
        threading.Event().wait(0.5)  # longer than the limit; the server waits for it

    response, _, _ = execute(seconds=0.1, Execute=hang, WaitExecution=hang)
    assert isinstance(response, RequestError)
    assert response.code is Code.DEADLINE_EXCEEDED


def test_a_closed_connection_is_named() -> None:
    response, names, calls = execute(is_closed=True)
    assert isinstance(response, RequestError)
    assert (response.code, names, waits(calls)) == (Code.UNAVAILABLE, [], [])
    assert response.message.startswith("grpc://127.0.0.1:")


def test_files_without_tls_are_refused() -> None:
    response, _, _ = execute(tls_ca="file")
    assert isinstance(response, ConfigError)
    assert "file has no effect without TLS" in str(response)
