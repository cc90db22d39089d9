"""Applies armed faults to calls.

It is an interceptor, so services know nothing of faults. Each effect is a small decorator of a handler.
faults/registry.py decides which calls a fault strikes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.faults.fault import Effect, Fault
from rpw_fixture.faults.registry import Faults
from rpw_fixture.services.base import Call, Handler
from rpw_fixture.services.interceptors.named_blobs import named
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.pausing import Pause
from rpw_fixture.wire.digests import Digest, digest_of
from rpw_fixture.wire.protos import Method, longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.raw_messages import packed

_EXECUTING = reapi.ExecutionStage.EXECUTING


class FaultInjector:
    """Applies armed faults to calls.

    Args:
        faults: the armed faults.
        cas: evictions remove blobs from it.
    """

    def __init__(self, faults: Faults, cas: Cas) -> None:
        self._faults = faults
        self._cas = cas
        self._decorators: dict[Effect, Callable[[Method, Handler, Fault], Handler]] = {
            Effect.DELAY: lambda _method, handler, _fault: handler,
            Effect.FAIL: _failing,
            Effect.HALF_CLOSE: _half_closing,
            Effect.EVICT: self._evicting,
            Effect.EVICT_ALL: self._evicting_all,
        }

    def interceptor(self, method: Method, handler: Handler) -> Handler:
        """Return a handler that applies the faults armed for a method; without faults it costs little."""
        slot = self._faults.slot(_short_name(method))
        if slot is None:
            return handler

        def struck(request: Any, call: Call) -> Any:
            if not slot.armed:
                return handler(request, call)
            serve = handler
            for fault in reversed(slot.strike()):
                serve = _delayed(self._decorators[fault.effect](method, serve, fault), fault.delay)
            return serve(request, call)

        return struck

    def _evicting_all(self, method: Method, handler: Handler, _fault: Fault) -> Handler:
        return _afterwards(method, handler, lambda _request, _response: self._cas.clear())

    def _evicting(self, method: Method, handler: Handler, _fault: Fault) -> Handler:
        name = _short_name(method).partition(".")[2]
        in_response = _IN_RESPONSE.get(name)
        if in_response is not None:
            return _afterwards(
                method, handler, lambda _request, response: self._evict(in_response(response))
            )

        def evicting(request: Any, call: Call) -> Any:
            request, digests = named(name, request, self._cas.functions)
            unwanted = list(digests)
            after = _afterwards(method, handler, lambda _request, _response: self._evict(unwanted))
            return after(request, call)

        return evicting

    def _evict(self, digests: Iterable[Digest]) -> None:
        unwanted = frozenset(digests)
        if unwanted:
            self._cas.evict(lambda _function, digest: digest in unwanted)


def _delayed(handler: Handler, seconds: float) -> Handler:
    if not seconds:
        return handler

    def delayed(request: Any, call: Call) -> Any:
        is_over = threading.Event()
        if call.context.add_callback(is_over.set):
            is_over.wait(seconds)
        return handler(request, call)

    return delayed


def _failing(method: Method, handler: Handler, fault: Fault) -> Handler:
    def fail(_request: Any, _call: Call) -> Any:
        raise _error(fault)

    def fail_within_requests(requests: Iterator[Any], call: Call) -> Any:
        return handler(_failing_requests(requests, fault), call)

    def fail_within_responses(request: Any, call: Call) -> Any:
        yield from _first_responses(handler(request, call), fault.after)
        raise _error(fault)

    if not fault.after:
        return fail
    return fail_within_requests if method.client_streaming else fail_within_responses


def _half_closing(_method: Method, handler: Handler, fault: Fault) -> Handler:
    return lambda request, call: _first_responses(handler(request, call), fault.after)


def _failing_requests(messages: Iterator[Any], fault: Fault) -> Iterator[Any]:
    yield from islice(messages, fault.after)
    raise _error(fault)


def _error(fault: Fault) -> RequestError:
    """Return a new error; a shared one would keep a call, and its connection, alive by its frames."""
    return RequestError(fault.code or Code.UNAVAILABLE, fault.message or f"fault armed: {fault}")


def _first_responses(responses: Iterator[Any], count: int) -> Iterator[Any]:
    """Yield the first ``count`` responses; finished operations appear as running."""
    for response in responses if count else ():
        if isinstance(response, Pause):
            yield response
            continue
        is_operation = isinstance(response, longrunning.Operation)
        yield _unfinished(response) if is_operation and response.done else response
        count -= 1
        if not count:
            return


def _unfinished(operation: longrunning.Operation) -> longrunning.Operation:
    metadata = reapi.ExecuteOperationMetadata()
    operation.metadata.Unpack(metadata)
    metadata.stage = _EXECUTING
    return longrunning.Operation(name=operation.name, metadata=packed(metadata))


def _afterwards(method: Method, handler: Handler, act: Callable[[Any, Any], object]) -> Handler:
    """Return a handler that calls ``act`` with request and last response before the client gets it."""

    def unary(request: Any, call: Call) -> Any:
        response = handler(request, call)
        act(request, response)
        return response

    def stream(request: Any, call: Call) -> Iterator[Any]:
        response = None
        for each in handler(request, call):
            if isinstance(each, Pause):
                yield each
                continue
            response = each
            # A finished operation is the last message, and the client acts on it at once.
            if isinstance(response, longrunning.Operation) and response.done:
                act(request, response)
            yield response
        if not isinstance(response, longrunning.Operation):
            act(request, response)

    return stream if method.server_streaming else unary


def _short_name(method: Method) -> str:
    service, _, name = method.path.removeprefix("/").partition("/")
    return f"{service.rpartition('.')[2]}.{name}"


def _of_result(result: reapi.ActionResult) -> Iterator[Digest]:
    for file in result.output_files:
        yield digest_of(file.digest)
    for directory in result.output_directories:
        yield digest_of(directory.tree_digest)
        yield digest_of(directory.root_directory_digest)
    yield digest_of(result.stdout_digest)
    yield digest_of(result.stderr_digest)


def _of_operation(operation: longrunning.Operation) -> Iterator[Digest]:
    response = reapi.ExecuteResponse()
    if operation.response.Unpack(response):
        yield from _of_result(response.result)


def _of_encoded_result(response: Any) -> Iterator[Digest]:
    encoded = response if isinstance(response, bytes) else response.SerializeToString()
    return _of_result(reapi.ActionResult.FromString(encoded))


#: RPCs whose responses name blobs, and a function that returns them; for all others see `named`.
_IN_RESPONSE: dict[str, Callable[[Any], Iterable[Digest]]] = {
    "GetActionResult": _of_encoded_result,
    "Execute": _of_operation,
    "WaitExecution": _of_operation,
}
