"""Counts what clients ask for, so that tests can assert it: calls, bytes, blobs, who asked.

Here live the counters and the interceptor that feeds them. What happens to actions and workers is
told by events, not here. Everything counted is bounded: of invocations, targets and blobs the oldest
are forgotten beyond a limit.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from rpw_fixture.errors import ConfigError, RequestError
from rpw_fixture.services._base import Call, Handler
from rpw_fixture.services.blob_traffic import FINDS, READS, WRITES, named
from rpw_fixture.storage.cas import Cas
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import Method

_MOST_INVOCATIONS = 1_000
_MOST_TARGETS = 10_000
_MOST_DIGESTS = 100_000
#: Longer ones are cut: they come from clients, and are kept.
_LONGEST_NAME = 1_000
_V = TypeVar("_V")


@dataclass(slots=True, kw_only=True)
class MethodCount:
    """What became of the calls of one RPC.

    Attributes:
        calls: how many began.
        failures: how many ended with a status other than OK, by its name.
        bytes_in: of the requests; of ByteStream.Write the content.
        bytes_out: of the responses.
        open: how many are being served.
        highest_concurrency: most that ever were at once.
    """

    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    open: int = 0
    highest_concurrency: int = 0


@dataclass(slots=True, kw_only=True)
class DigestCount:
    """How often one blob was asked for.

    Attributes:
        reads: reads that began, in batches too.
        writes: uploads that began, in batches too.
        find_missing: how often FindMissingBlobs named it.
        duplicate_uploads: those of the writes that brought what was there already.
    """

    reads: int = 0
    writes: int = 0
    find_missing: int = 0
    duplicate_uploads: int = 0


class _Served:
    """A call that is being served, and what only its end tells."""

    __slots__ = ("bytes_in", "bytes_out", "failure")

    def __init__(self, bytes_in: int) -> None:
        self.bytes_in = bytes_in
        self.bytes_out = 0
        self.failure = ""


class Counters:
    """The counters of a server. All methods may be called from any thread.

    RPCs are named as in ``Execute`` or ``Read``. Health checks and calls that carry no valid token
    are not counted.

    Args:
        counts_digests: look into requests for the blobs they name. That takes time in proportion to
            their number, which is why nobody pays for it unasked: FindMissingBlobs may name 10,000.
    """

    def __init__(self, *, counts_digests: bool = False) -> None:
        self._counts_digests = counts_digests
        self._lock = threading.Lock()
        self._methods: dict[str, MethodCount] = {}
        self._open = 0
        self.reset()

    def reset(self) -> None:
        """Starts from nothing; calls that are open stay so."""
        with self._lock:
            for name, count in self._methods.items():
                self._methods[name] = MethodCount(open=count.open, highest_concurrency=count.open)
            self._highest = self._open
            self._invocations: OrderedDict[str, Counter[str]] = OrderedDict()
            self._targets: OrderedDict[str, Counter[str]] = OrderedDict()
            self._digests: OrderedDict[str, DigestCount] = OrderedDict()

    @property
    def calls(self) -> Counter[str]:
        """How many calls of each RPC began."""
        return Counter({name: count.calls for name, count in self.methods.items() if count.calls})

    @property
    def methods(self) -> Mapping[str, MethodCount]:
        """All that is known of the calls of each RPC."""
        with self._lock:
            return {
                name: replace(count, failures=Counter(count.failures))
                for name, count in self._methods.items()
            }

    @property
    def highest_concurrency(self) -> int:
        """Most calls that ever were served at once."""
        return self._highest

    @property
    def invocations(self) -> Mapping[str, Counter[str]]:
        """Calls of each RPC by the client's invocation id (RequestMetadata.tool_invocation_id)."""
        return self._copied(lambda: self._invocations, Counter)

    @property
    def targets(self) -> Mapping[str, Counter[str]]:
        """Calls of each RPC by the label of the target (RequestMetadata.target_id)."""
        return self._copied(lambda: self._targets, Counter)

    @property
    def digests(self) -> Mapping[str, DigestCount]:
        """What was asked of each blob, by ``hash/size``.

        Raises:
            ConfigError: when the server does not count this.
        """
        if not self._counts_digests:
            raise ConfigError(
                "blobs are not counted one by one, because that takes time; ask for it: "
                "Server(count_digests=True), or @pytest.mark.rpw(count_digests=True)"
            )
        return self._copied(lambda: self._digests, replace)

    @property
    def duplicate_uploads(self) -> int:
        """How many uploads brought what was there already.

        Raises:
            ConfigError: when the server does not count this.
        """
        return sum(count.duplicate_uploads for count in self.digests.values())

    def interceptor(self, cas: Cas) -> Callable[[Method, Handler], Handler]:
        """What counts the calls of a server that keeps its blobs in ``cas``."""

        def around(method: Method, handler: Handler) -> Handler:
            service, _, name = method.path.removeprefix("/").partition("/")
            if service.startswith("grpc."):
                return handler
            self._methods.setdefault(name, MethodCount())
            if self._counts_digests and name in READS | WRITES | FINDS:
                handler = self._counting_digests(name, handler, cas)
            counting = self._stream if method.server_streaming else self._unary
            return counting(name, handler)

        return around

    def _unary(self, name: str, handler: Handler) -> Handler:
        def counted(request: Any, call: Call) -> bytes:
            served = self._begin(name, call)
            try:
                encoded = _encoded(handler(_metered(request, served), call))
                served.bytes_out = len(encoded)
            except RequestError as error:
                served.failure = error.code.name
                raise
            finally:
                self._end(name, served)
            return encoded

        return counted

    def _stream(self, name: str, handler: Handler) -> Handler:
        def counted(request: Any, call: Call) -> Iterator[bytes]:
            served = self._begin(name, call)
            try:
                for response in handler(request, call):
                    encoded = _encoded(response)
                    served.bytes_out += len(encoded)
                    yield encoded
            except RequestError as error:
                served.failure = error.code.name
                raise
            finally:
                self._end(name, served)

        return counted

    def _begin(self, name: str, call: Call) -> _Served:
        metadata = call.request_metadata
        invocation = metadata.tool_invocation_id[:_LONGEST_NAME]
        target = metadata.target_id[:_LONGEST_NAME]
        with self._lock:
            count = self._methods[name]
            count.calls += 1
            count.open += 1
            self._open += 1
            count.highest_concurrency = max(count.highest_concurrency, count.open)
            self._highest = max(self._highest, self._open)
            if invocation:
                _entry(self._invocations, invocation, Counter, _MOST_INVOCATIONS)[name] += 1
            if target:
                _entry(self._targets, target, Counter, _MOST_TARGETS)[name] += 1
        return _Served(call.request_bytes)

    def _end(self, name: str, served: _Served) -> None:
        with self._lock:
            count = self._methods[name]
            count.open -= 1
            self._open -= 1
            count.bytes_in += served.bytes_in
            count.bytes_out += served.bytes_out
            if served.failure:
                count.failures[served.failure] += 1

    def _counting_digests(self, name: str, handler: Handler, cas: Cas) -> Handler:
        def counted(request: Any, call: Call) -> Any:
            request, digests = named(name, request, cas.functions)
            self._note(name, digests, cas)
            return handler(request, call)

        return counted

    def _note(self, name: str, digests: Iterable[Digest], cas: Cas) -> None:
        with self._lock:
            for digest in digests:
                key = str(digest)[:_LONGEST_NAME]
                count = _entry(self._digests, key, DigestCount, _MOST_DIGESTS)
                if name in READS:
                    count.reads += 1
                elif name in FINDS:
                    count.find_missing += 1
                else:
                    count.writes += 1
                    count.duplicate_uploads += cas.contains(digest)

    def _copied(
        self, table: Callable[[], Mapping[str, _V]], copy: Callable[[_V], _V]
    ) -> dict[str, _V]:
        with self._lock:
            return {key: copy(value) for key, value in table().items()}


def _entry(table: OrderedDict[str, _V], key: str, make: Callable[[], _V], most: int) -> _V:
    """The entry of that key, made if need be; beyond ``most`` the oldest one is forgotten."""
    entry = table.get(key)
    if entry is None:
        entry = table[key] = make()
        if len(table) > most:
            table.popitem(last=False)
    return entry


def _encoded(response: Any) -> bytes:
    """The response as bytes, so that its size is known and nobody encodes it twice."""
    encoded: bytes = response if isinstance(response, bytes) else response.SerializeToString()
    return encoded


def _metered(request: Any, served: _Served) -> Any:
    """The request, or the stream of them, whose content is counted as it comes."""
    if not isinstance(request, Iterator):
        return request

    def metered() -> Iterator[Any]:
        for message in request:
            served.bytes_in += len(message.data)
            yield message

    return metered()
