"""A service that answers as its resource name says, and a server of it."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc

from rpw_fixture.errors import BlobMissingError, not_found
from rpw_fixture.events.log import EventLog
from rpw_fixture.services.base import Handlers, Service, rpc
from rpw_fixture.wire.protos import bytestream, methods

NAME = "google.bytestream.ByteStream"


class Echo(Service):
    """Answers by what the resource name says, over all shapes of calls that ByteStream has."""

    name = NAME

    def __init__(self):
        self.seen = []
        self.ended = threading.Event()

    def answer(self, name, call):
        self.seen.append(call.request_metadata.action_mnemonic)
        match name:
            case "missing":
                raise not_found("nothing of that name")
            case "blobs":
                raise BlobMissingError([f"blobs/{number}" for number in range(1000)])
            case "bug":
                raise ZeroDivisionError("a bug of ours")

    @rpc("QueryWriteStatus")
    def query(self, request, call):
        self.answer(request.resource_name, call)
        return bytestream.QueryWriteStatusResponse(committed_size=7)

    @rpc("Read")
    def read(self, request, call):
        yield bytestream.ReadResponse(data=b"one")
        self.answer(request.resource_name, call)
        yield bytestream.ReadResponse(data=b"two").SerializeToString()

    @rpc("Write", decode=len)
    def write(self, requests, call):
        try:
            return bytestream.WriteResponse(committed_size=sum(requests))
        finally:
            self.ended.set()


@contextlib.contextmanager
def served(service, *interceptors):
    """A channel to a server of one service, and its log."""
    log, pool = EventLog(), ThreadPoolExecutor(4)
    server = grpc.server(pool, options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers([Handlers([service], events=log, interceptors=interceptors)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel, log
    finally:
        server.stop(0).wait()
        pool.shutdown()


def query(channel, name="", metadata=()):
    method = methods(NAME)["QueryWriteStatus"]
    call = channel.unary_unary(method.path, None, method.response_class.FromString)
    request = bytestream.QueryWriteStatusRequest(resource_name=name)
    return call(request.SerializeToString(), metadata=metadata)


def read(channel, name=""):
    method = methods(NAME)["Read"]
    call = channel.unary_stream(method.path, None, method.response_class.FromString)
    return call(bytestream.ReadRequest(resource_name=name).SerializeToString())


def read_all(channel, name=""):
    return list(read(channel, name))


def upload(channel, *pieces):
    call = channel.stream_unary(f"/{NAME}/Write", None, bytestream.WriteResponse.FromString)
    return call(iter(pieces))


def cancelled_upload(channel):
    """Has a client go away after its first message, while the server waits for the second."""
    begun, release = threading.Event(), threading.Event()

    def messages():
        yield b"abc"
        begun.set()
        release.wait()

    call = channel.stream_unary(f"/{NAME}/Write", None, None).future(messages())
    begun.wait()
    call.cancel()
    release.set()


def cancelled_read(channel):
    """Has a client go away after the first response."""
    stream = read(channel)
    next(stream)
    stream.cancel()
