"""A server that answers as a test says, for what a good one never does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc

from rpw_fixture.client.channel import CAPABILITIES, CAS, EXECUTION, OPERATIONS
from rpw_fixture.wire.protos import longrunning, methods, semver, wkt
from rpw_fixture.wire.protos import remote_execution as reapi

#: Answers a request: with a response, or an iterator of them; it may raise `BrokenError`.
Answer = Callable[[Any], Any]


class BrokenError(Exception):
    """Ends a call with a status."""

    def __init__(self, code: grpc.StatusCode, details: str = "as the test wants it") -> None:
        super().__init__(details)
        self.code = code
        self.details = details


def capabilities(_request: object = None) -> reapi.ServerCapabilities:
    return reapi.ServerCapabilities(
        cache_capabilities=reapi.CacheCapabilities(
            digest_functions=[reapi.DigestFunction.SHA256], max_batch_total_size_bytes=1 << 20
        ),
        low_api_version=semver.SemVer(major=2),
        high_api_version=semver.SemVer(major=2, minor=3),
    )


#: A server that has every blob and does nothing.
NOTHING: Mapping[str, Answer] = {
    "GetCapabilities": capabilities,
    "FindMissingBlobs": lambda _request: reapi.FindMissingBlobsResponse(),
    "CancelOperation": lambda _request: wkt.Empty(),
}


def under_way(name: str) -> longrunning.Operation:
    return longrunning.Operation(name=name)


def done(name: str, response: reapi.ExecuteResponse | None = None) -> longrunning.Operation:
    operation = longrunning.Operation(name=name, done=True)
    operation.response.Pack(
        response or reapi.ExecuteResponse(result=reapi.ActionResult(exit_code=3))
    )
    return operation


@contextmanager
def fake_server(**answers: Answer) -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    """Serves; gives the endpoint, and the list of calls so far: method name and request."""
    calls: list[tuple[str, Any]] = []
    threads = ThreadPoolExecutor(4, thread_name_prefix="fake")
    server = grpc.server(threads, options=[("grpc.so_reuseport", 0)])
    for service in (CAPABILITIES, CAS, EXECUTION, OPERATIONS):
        handlers = {
            name: _handler(method, name, answer, calls)
            for name, method in methods(service).items()
            if (answer := {**NOTHING, **answers}.get(name)) is not None
        }
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"grpc://127.0.0.1:{port}", calls
    finally:
        server.stop(0).wait()
        threads.shutdown()


def _handler(method: Any, name: str, answer: Answer, calls: list[tuple[str, Any]]) -> Any:
    make = (
        grpc.unary_stream_rpc_method_handler
        if method.server_streaming
        else grpc.unary_unary_rpc_method_handler
    )

    def respond(request: Any, context: grpc.ServicerContext) -> Any:
        calls.append((name, request))
        try:
            return answer(request)
        except BrokenError as broken:
            context.abort(broken.code, broken.details)

    def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        calls.append((name, request))
        try:
            yield from answer(request)
        except BrokenError as broken:
            context.abort(broken.code, broken.details)

    return make(
        stream if method.server_streaming else respond,
        request_deserializer=method.request_class.FromString,
        response_serializer=method.response_class.SerializeToString,
    )
