"""Updates the counters by an interceptor, so that services know nothing of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

from rpw_fixture.errors import RequestError
from rpw_fixture.services.base import Call, Handler, encoded
from rpw_fixture.services.interceptors.counters import Counters, DigestCount
from rpw_fixture.services.interceptors.named_blobs import FINDS, READS, WRITES, named
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.harmless import harmless
from rpw_fixture.support.pausing import Pause
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import Method


class Counting:
    """Counts calls.

    Args:
        counters: to update.
        cas: has the blobs, so that uploads of stored ones can be counted.
    """

    def __init__(self, counters: Counters, cas: Cas) -> None:
        self._counters = counters
        self._begin = harmless("the counters", counters.begin)
        self._end = harmless("the counters", counters.end)
        self._note = harmless("the counters", self._note_all)
        self._cas = cas

    def interceptor(self, method: Method, handler: Handler) -> Handler:
        """Return a handler that counts calls and their bytes; health checks are not counted."""
        service, _, name = method.path.removeprefix("/").partition("/")
        if service.startswith("grpc."):
            return handler
        if self._counters.counts_digests and name in READS | WRITES | FINDS:
            handler = self._counting_digests(name, handler)
        counting = self._stream if method.server_streaming else self._unary
        return counting(name, handler)

    def _unary(self, name: str, handler: Handler) -> Handler:
        def counted(request: Any, call: Call) -> bytes:
            with _Counted(self._begin, self._end, name, call) as served:
                # Encode the response here, because its size is needed; gRPC then gets bytes.
                response = encoded(handler(served.metered(request), call))
                served.bytes_out = len(response)
                return response

        return counted

    def _stream(self, name: str, handler: Handler) -> Handler:
        def counted(request: Any, call: Call) -> Iterator[bytes | Pause]:
            with _Counted(self._begin, self._end, name, call) as served:
                for response in handler(request, call):
                    if isinstance(response, Pause):
                        yield response
                        continue
                    data = encoded(response)
                    served.bytes_out += len(data)
                    yield data

        return counted

    def _counting_digests(self, name: str, handler: Handler) -> Handler:
        def counted(request: Any, call: Call) -> Any:
            request, digests = named(name, request, self._cas.functions)
            self._note(name, digests)
            return handler(request, call)

        return counted

    def _note_all(self, name: str, digests: Iterable[Digest]) -> None:
        for digest in digests:
            self._counters.note(str(digest), self._change(name, digest))

    def _change(self, name: str, digest: Digest) -> Callable[[DigestCount], None]:
        if name in READS:
            return _read
        if name in FINDS:
            return _looked_for
        return _uploaded_again if self._cas.contains(digest) else _uploaded


class _Counted:
    """A call in progress, and the counts to report at its end."""

    __slots__ = ("_end", "_name", "bytes_in", "bytes_out")

    def __init__(
        self, begin: Callable[..., None], end: Callable[..., None], name: str, call: Call
    ) -> None:
        self._end = end
        self._name = name
        self.bytes_in = call.request_bytes
        self.bytes_out = 0
        metadata = call.request_metadata
        begin(name, invocation=metadata.tool_invocation_id, target=metadata.target_id)

    def metered(self, request: Any) -> Any:
        """Return the request, or a stream of requests whose content is counted on the way."""
        return self._metered(request) if isinstance(request, Iterator) else request

    def _metered(self, requests: Iterator[Any]) -> Iterator[Any]:
        for message in requests:
            self.bytes_in += len(message.data)
            yield message

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _at: object) -> None:
        self._end(
            self._name,
            bytes_in=self.bytes_in,
            bytes_out=self.bytes_out,
            failure=error.code.name if isinstance(error, RequestError) else "",
        )


def _read(count: DigestCount) -> None:
    count.reads += 1


def _looked_for(count: DigestCount) -> None:
    count.find_missing += 1


def _uploaded(count: DigestCount) -> None:
    count.writes += 1


def _uploaded_again(count: DigestCount) -> None:
    count.writes += 1
    count.duplicate_uploads += 1
