"""A call that is over is let go at once: what keeps it keeps its connection open."""

from __future__ import annotations

import gc
import threading
import weakref
from contextlib import suppress

import grpc
import pytest

from rpw_fixture.config import Config
from rpw_fixture.faults.registry import Faults
from rpw_fixture.services.cas import CasService
from rpw_fixture.services.interceptors.faults import FaultInjector
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import methods
from rpw_fixture.wire.protos import remote_execution as reapi

from .echo_service import Echo, cancelled_read, cancelled_upload, query, read_all, served, upload


class Watch:
    """Looks at calls as an interceptor, and waits until none of them is held any more."""

    def __init__(self):
        self._over = []

    def interceptor(self, _method, handler):
        def watched(request, call):
            over = threading.Event()
            self._over.append(over)
            weakref.finalize(call.context, over.set)
            return handler(request, call)

        return watched

    def wait(self):
        assert self._over
        return all(over.wait(10) for over in self._over)


@pytest.fixture
def watch():
    """A watch, while the garbage collector rests."""
    gc.disable()
    yield Watch()
    gc.enable()


@pytest.mark.parametrize("name", ["", "missing", "blobs", "bug"])
@pytest.mark.parametrize("call", [query, read_all])
def test_a_call_is_let_go_however_it_ends(watch, call, name):
    with served(Echo(), watch.interceptor) as (channel, _log), suppress(grpc.RpcError):
        call(channel, name)
    assert watch.wait()


@pytest.mark.parametrize("leave", [cancelled_upload, cancelled_read])
def test_a_call_whose_client_went_away_is_let_go(watch, leave):
    with served(Echo(), watch.interceptor) as (channel, log):
        leave(channel)
    assert watch.wait()
    assert log.snapshot() == []


@pytest.mark.parametrize("spec", ["*:ABORTED", "Read:ABORTED:after=1", "Write:ABORTED:after=1"])
def test_a_call_struck_by_a_fault_is_let_go(watch, cas, spec):
    faults = Faults([spec], evict=len)
    injector = FaultInjector(faults, cas)
    with served(Echo(), watch.interceptor, injector.interceptor) as (channel, _log):
        for call, *pieces in ((query,), (read_all,), (upload, b"a", b"b")):
            with suppress(grpc.RpcError):
                call(channel, *pieces)
    assert sum(armed.hits for armed in faults.armed)
    assert watch.wait()


LARGE = SHA256.of(bytes(1001))
BATCH = {
    "kept": reapi.BatchUpdateBlobsRequest.Request(
        digest=reapi.Digest(hash=SHA256.of(b"one").hash, size_bytes=3), data=b"one"
    ),
    "another content": reapi.BatchUpdateBlobsRequest.Request(
        digest=reapi.Digest(hash=SHA256.of(b"one").hash, size_bytes=3), data=b"two"
    ),
    "malformed digest": reapi.BatchUpdateBlobsRequest.Request(digest=reapi.Digest(hash="A" * 64)),
    "unknown compressor": reapi.BatchUpdateBlobsRequest.Request(
        digest=reapi.Digest(hash=SHA256.of(b"one").hash, size_bytes=3), data=b"one", compressor=99
    ),
    "no room": reapi.BatchUpdateBlobsRequest.Request(
        digest=reapi.Digest(hash=LARGE.hash, size_bytes=LARGE.size), data=bytes(1001)
    ),
}


@pytest.mark.parametrize("name", BATCH)
def test_a_batch_is_let_go_whatever_is_in_it(watch, cas, name):
    method = methods(CasService.name)["BatchUpdateBlobs"]
    request = reapi.BatchUpdateBlobsRequest(requests=[BATCH[name]]).SerializeToString()
    with served(CasService(Config(), cas), watch.interceptor) as (channel, _log):
        call = channel.unary_unary(method.path, None, method.response_class.FromString)
        [answer] = call(request).responses
    assert bool(answer.status.code) is (name != "kept")
    assert watch.wait()
