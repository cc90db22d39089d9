"""What every service gets from its base: statuses, details, recorded bugs, interceptors."""

from __future__ import annotations

import logging

import grpc
import pytest

from rpw_fixture.errors import not_found
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.services.base import REQUEST_METADATA_KEY, Service, rpc
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import rpc as google_rpc

from .echo_service import (
    NAME,
    Echo,
    cancelled_read,
    cancelled_upload,
    query,
    read,
    read_all,
    served,
    upload,
)


@pytest.fixture
def echo():
    with served(Echo()) as (channel, log):
        yield channel
    assert log.of(InternalError) == []


def test_a_method_answers_with_a_message_or_its_bytes(echo):
    assert query(echo).committed_size == 7
    assert [response.data for response in read(echo)] == [b"one", b"two"]


@pytest.mark.parametrize("call", [query, read_all])
def test_a_request_error_is_its_status(echo, call):
    with pytest.raises(grpc.RpcError) as caught:
        call(echo, "missing")
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert caught.value.details() == "nothing of that name"
    assert caught.value.trailing_metadata() == ()


def test_missing_blobs_travel_as_details_that_fit_the_trailers(echo):
    with pytest.raises(grpc.RpcError) as caught:
        query(echo, "blobs")
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    ((key, value),) = caught.value.trailing_metadata()
    assert key == "grpc-status-details-bin"
    status = google_rpc.Status.FromString(value)
    assert status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    (detail,) = status.details
    failure = google_rpc.PreconditionFailure()
    assert detail.Unpack(failure)
    assert {violation.type for violation in failure.violations} == {"MISSING"}
    assert failure.violations[0].subject == "blobs/0"
    assert 10 < len(failure.violations) < 1000


@pytest.mark.parametrize("call", [query, read_all])
def test_a_bug_is_internal_and_recorded_but_nothing_is_logged(call, caplog):
    with served(Echo()) as (channel, log), caplog.at_level(logging.DEBUG, "grpc"):
        with pytest.raises(grpc.RpcError) as caught:
            call(channel, "bug")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "ZeroDivisionError" in caught.value.details()
        (event,) = log.of(InternalError)
        assert event.where.startswith(f"/{NAME}/")
        assert "a bug of ours" in event.detail
        assert "Traceback" in event.detail
        # The server goes on.
        assert query(channel).committed_size == 7
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_requests_may_be_decoded_by_a_function_of_the_method(echo):
    assert upload(echo, b"abc", b"de").committed_size == 5


def test_a_client_that_goes_away_is_no_bug():
    service = Echo()
    with served(service) as (channel, log):
        cancelled_upload(channel)
        assert service.ended.wait(10)
        cancelled_read(channel)
        assert query(channel).committed_size == 7
    assert log.of(InternalError) == []


def test_request_metadata_is_decoded_and_nonsense_is_none():
    service = Echo()
    good = reapi.RequestMetadata(action_mnemonic="Javac").SerializeToString()
    with served(service) as (channel, _log):
        for value in (good, b"\xff\xff"):
            query(channel, metadata=[("other", "x"), (REQUEST_METADATA_KEY, value)])
        query(channel)
    assert service.seen == ["Javac", "", ""]


def test_methods_that_a_service_lacks_are_unimplemented():
    class Nothing(Service):
        name = NAME

    with served(Nothing()) as (channel, _log), pytest.raises(grpc.RpcError) as caught:
        query(channel)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_interceptors_see_requests_and_responses_the_first_one_outermost():
    seen = []

    def recording(name):
        def interceptor(method, handler):
            def handle(request, call):
                seen.append((name, method.path.rpartition("/")[2], call.method is method))
                response = handler(request, call)
                if method.server_streaming:
                    return (each for each in list(response)[:1])
                response.committed_size += 1
                return response

            return handle

        return interceptor

    def failing(_method, handler):
        def handle(request, call):
            if getattr(request, "resource_name", "") == "injected":
                raise not_found("a fault")
            return handler(request, call)

        return handle

    with served(Echo(), recording("outer"), recording("inner"), failing) as (channel, log):
        assert query(channel).committed_size == 9
        assert [response.data for response in read(channel)] == [b"one"]
        with pytest.raises(grpc.RpcError) as caught:
            query(channel, "injected")
        assert caught.value.details() == "a fault"
    assert seen[:4] == [
        ("outer", "QueryWriteStatus", True),
        ("inner", "QueryWriteStatus", True),
        ("outer", "Read", True),
        ("inner", "Read", True),
    ]
    assert log.of(InternalError) == []


@pytest.mark.parametrize("length", [0, 10_000])
def test_a_message_of_any_length_reaches_the_client(length):
    class Refusing(Service):
        name = NAME

        @rpc("QueryWriteStatus")
        def query(self, _request, _call):
            raise not_found("é" * length)

    with served(Refusing()) as (channel, _log), pytest.raises(grpc.RpcError) as caught:
        query(channel)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert set(caught.value.details()) <= {"é"}
