"""Streams that break, operations that are forgotten, blobs that are lost: the client goes on."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Client, EnvironmentLacksError
from rpw_fixture.client import ActionFailedError
from rpw_fixture.client.encoding import encode
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import longrunning, rpc, wkt
from rpw_fixture.wire.protos import remote_execution as reapi

from .fake_server import BrokenError, capabilities, done, fake_server, under_way

ACTION = Action(arguments=["x"], inputs={"a": "content"})
UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def names(calls: list[tuple[str, Any]]) -> list[str]:
    return [name for name, _ in calls if name in {"Execute", "WaitExecution", "BatchUpdateBlobs"}]


def execute_and_break(_request: object) -> Iterator[longrunning.Operation]:
    yield under_way("op")
    raise BrokenError(UNAVAILABLE)


def refuse(_request: object) -> Iterator[longrunning.Operation]:
    raise BrokenError(grpc.StatusCode.PERMISSION_DENIED)
    yield


def test_a_stream_that_breaks_is_taken_up_again_by_waiting() -> None:
    with (
        fake_server(
            Execute=execute_and_break, WaitExecution=lambda request: iter([done(request.name)])
        ) as (endpoint, calls),
        Client(endpoint) as client,
    ):
        outcome = client.run(ACTION)
    assert (outcome.exit_code, outcome.operation) == (3, "op")
    assert names(calls) == ["Execute", "WaitExecution"]


def test_a_stream_that_just_ends_is_taken_up_again_too() -> None:
    with (
        fake_server(
            Execute=lambda _request: iter([under_way("op")]),
            WaitExecution=lambda request: iter([done(request.name)]),
        ) as (endpoint, calls),
        Client(endpoint) as client,
    ):
        assert client.run(ACTION).exit_code == 3
    assert names(calls) == ["Execute", "WaitExecution"]


def test_an_operation_that_the_server_forgot_is_executed_anew() -> None:
    answers = iter([execute_and_break, lambda _request: iter([done("second")])])

    def execute(request: object) -> Iterator[longrunning.Operation]:
        yield from next(answers)(request)

    def not_found(_request: object) -> Iterator[longrunning.Operation]:
        raise BrokenError(grpc.StatusCode.NOT_FOUND)
        yield

    with (
        fake_server(Execute=execute, WaitExecution=not_found) as (endpoint, calls),
        Client(endpoint) as client,
    ):
        assert client.run(ACTION).operation == "second"
    assert names(calls) == ["Execute", "WaitExecution", "Execute"]


def test_a_connection_that_never_holds_is_given_up() -> None:
    with (
        fake_server(Execute=execute_and_break, WaitExecution=execute_and_break) as (
            endpoint,
            calls,
        ),
        Client(endpoint) as client,
        pytest.raises(RequestError, match="as the test wants it") as failure,
    ):
        client.run(ACTION)
    assert failure.value.code is Code.UNAVAILABLE
    assert names(calls) == ["Execute", *["WaitExecution"] * 4]


def test_a_refused_request_is_not_tried_again() -> None:
    with (
        fake_server(Execute=refuse) as (endpoint, calls),
        Client(endpoint) as client,
        pytest.raises(RequestError) as failure,
    ):
        client.run(ACTION)
    assert failure.value.code is Code.PERMISSION_DENIED
    assert str(failure.value) == f"{endpoint} Execute: PERMISSION_DENIED: as the test wants it"
    assert names(calls) == ["Execute"]


def test_an_error_that_was_handled_is_let_go_at_once_and_its_call_with_it() -> None:
    gc.disable()
    try:
        with fake_server(Execute=refuse) as (endpoint, _calls), Client(endpoint) as client:
            try:
                client.run(ACTION)
            except RequestError as error:
                held = weakref.ref(error)
        assert held() is None
    finally:
        gc.enable()


def missing_blob() -> reapi.ExecuteResponse:
    digest = SHA256.of(b"content")
    failure = rpc.PreconditionFailure(
        violations=[rpc.PreconditionFailure.Violation(type="MISSING", subject=f"blobs/{digest}")]
    )
    detail = wkt.Any()
    detail.Pack(failure)
    return reapi.ExecuteResponse(
        result=reapi.ActionResult(),
        status=rpc.Status(code=int(Code.FAILED_PRECONDITION), details=[detail]),
    )


def test_blobs_lost_between_upload_and_execution_are_uploaded_again() -> None:
    stored: set[str] = set()
    is_first = threading.Event()

    def find_missing(request: reapi.FindMissingBlobsRequest) -> reapi.FindMissingBlobsResponse:
        wanted = [each for each in request.blob_digests if each.hash not in stored]
        return reapi.FindMissingBlobsResponse(missing_blob_digests=wanted)

    def update(request: reapi.BatchUpdateBlobsRequest) -> reapi.BatchUpdateBlobsResponse:
        stored.update(each.digest.hash for each in request.requests)
        return reapi.BatchUpdateBlobsResponse(
            responses=[
                reapi.BatchUpdateBlobsResponse.Response(digest=each.digest)
                for each in request.requests
            ]
        )

    def execute(_request: object) -> Iterator[longrunning.Operation]:
        if not is_first.is_set():
            is_first.set()
            stored.discard(SHA256.of(b"content").hash)
            yield done("op", missing_blob())
        else:
            yield done("op")

    with (
        fake_server(Execute=execute, FindMissingBlobs=find_missing, BatchUpdateBlobs=update) as (
            endpoint,
            calls,
        ),
        Client(endpoint) as client,
    ):
        assert client.run(ACTION).exit_code == 3
    assert names(calls) == ["BatchUpdateBlobs", "Execute", "BatchUpdateBlobs", "Execute"]
    (again,) = [request for name, request in calls if name == "BatchUpdateBlobs"][1].requests
    assert again.data == b"content"


def test_blobs_that_are_never_kept_are_given_up() -> None:
    with (
        fake_server(Execute=lambda _request: iter([done("op", missing_blob())])) as (endpoint, _),
        Client(endpoint) as client,
        pytest.raises(RequestError, match=r"still lacks blobs/.* after 5 uploads"),
    ):
        client.run(ACTION)


def test_running_out_of_time_cancels_the_operation() -> None:
    released = threading.Event()

    def hang(_request: object) -> Iterator[longrunning.Operation]:
        yield under_way("slow")
        released.wait(10)

    with fake_server(Execute=hang) as (endpoint, calls), Client(endpoint) as client:
        with pytest.raises(RequestError) as failure:
            client.run(ACTION, timeout=1.0)
        released.set()
    assert failure.value.code is Code.DEADLINE_EXCEEDED
    assert [request.name for name, request in calls if name == "CancelOperation"] == ["slow"]


def test_an_operation_that_ends_in_an_error_is_a_failed_action() -> None:
    error = longrunning.Operation(name="op", done=True)
    error.error.code = int(Code.RESOURCE_EXHAUSTED)
    error.error.message = "no room"
    with (
        fake_server(Execute=lambda _request: iter([error])) as (endpoint, _),
        Client(endpoint) as client,
        pytest.raises(ActionFailedError, match="RESOURCE_EXHAUSTED: no room"),
    ):
        client.run(ACTION)


def test_an_endpoint_without_a_server_is_a_lack_of_the_environment() -> None:
    with fake_server() as (endpoint, _):
        pass
    with (
        Client(endpoint, timeout=5) as client,
        pytest.raises(EnvironmentLacksError, match="no REAPI server answers"),
    ):
        client.capabilities()


def test_content_that_does_not_match_its_digest_is_refused() -> None:
    digest = SHA256.of(b"right")

    def wrong(request: reapi.BatchReadBlobsRequest) -> reapi.BatchReadBlobsResponse:
        return reapi.BatchReadBlobsResponse(
            responses=[
                reapi.BatchReadBlobsResponse.Response(digest=each, data=b"wrong")
                for each in request.digests
            ]
        )

    with (
        fake_server(BatchReadBlobs=wrong) as (endpoint, _),
        Client(endpoint) as client,
        pytest.raises(RequestError, match="came with other content") as failure,
    ):
        client.download([digest])
    assert failure.value.code is Code.DATA_LOSS


def test_a_server_of_api_2_0_gets_no_output_paths() -> None:
    def old(_request: object) -> reapi.ServerCapabilities:
        message = capabilities()
        message.high_api_version.minor = 0
        return message

    action = ACTION.with_outputs("out")
    with (
        fake_server(GetCapabilities=old, Execute=lambda _request: iter([done("op")])) as (
            endpoint,
            _,
        ),
        Client(endpoint) as client,
    ):
        assert client.is_legacy
        legacy = encode(action, SHA256, is_legacy=True)
        assert client.digest_of(action) == str(legacy.digest) != str(encode(action, SHA256).digest)
