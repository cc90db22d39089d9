"""Counters of calls, bytes and blobs, by RPC, invocation and target, so that tests can assert them.

counting.py updates them. Events describe actions and workers. The size of the counters is limited: beyond
a limit, the oldest invocations, targets and blobs are forgotten.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from rpw_fixture.errors import ConfigError
from rpw_fixture.wire.rpcs import SERVED

_MOST_INVOCATIONS = 1_000
_MOST_TARGETS = 10_000
_MOST_DIGESTS = 100_000
#: Longer names are cut, because they come from clients and are kept.
_LONGEST_NAME = 1_000
_V = TypeVar("_V")


@dataclass(slots=True, kw_only=True)
class MethodCount:
    """Counters of the calls of an RPC.

    Attributes:
        calls: calls that began.
        failures: calls that ended with a status other than OK, by its name.
        bytes_in: bytes of requests; of ByteStream.Write, bytes of content.
        bytes_out: bytes of responses.
        open: calls in progress.
        highest_concurrency: most calls in progress at the same time.
    """

    calls: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    bytes_in: int = 0
    bytes_out: int = 0
    open: int = 0
    highest_concurrency: int = 0


@dataclass(slots=True, kw_only=True)
class DigestCount:
    """Counters of the requests for a blob.

    Attributes:
        reads: reads that began, also in batches.
        writes: uploads that began, also in batches.
        find_missing: how often FindMissingBlobs named it.
        duplicate_uploads: uploads when it was stored already.
    """

    reads: int = 0
    writes: int = 0
    find_missing: int = 0
    duplicate_uploads: int = 0


class Counters:
    """The counters of a server. Thread-safe.

    RPCs have their simple names, as in ``Execute`` or ``Read``. Health checks and calls without a valid
    token are not counted.

    Args:
        counts_digests: whether to count requests for each blob. That takes time for each of them, and
            FindMissingBlobs may name 10,000.
    """

    def __init__(self, *, counts_digests: bool = False) -> None:
        self.counts_digests = counts_digests
        self._lock = threading.Lock()
        self._methods = {name.partition(".")[2]: MethodCount() for name in SERVED}
        self._open = 0
        self.reset()

    def reset(self) -> None:
        """Set all counters to 0, except those of open calls."""
        with self._lock:
            for name, count in self._methods.items():
                self._methods[name] = MethodCount(open=count.open, highest_concurrency=count.open)
            self._highest = self._open
            self._invocations: OrderedDict[str, Counter[str]] = OrderedDict()
            self._targets: OrderedDict[str, Counter[str]] = OrderedDict()
            self._digests: OrderedDict[str, DigestCount] = OrderedDict()

    @property
    def calls(self) -> Counter[str]:
        """Calls that began, by RPC."""
        return Counter({name: count.calls for name, count in self.methods.items() if count.calls})

    @property
    def methods(self) -> Mapping[str, MethodCount]:
        """All counters of calls, by RPC."""
        with self._lock:
            return {
                name: replace(count, failures=Counter(count.failures))
                for name, count in self._methods.items()
            }

    @property
    def highest_concurrency(self) -> int:
        """Most calls in progress at the same time, of all RPCs."""
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
        """Counters of each blob, by ``hash/size``.

        Raises:
            ConfigError: when the server does not count them.
        """
        if not self.counts_digests:
            raise ConfigError(
                "requests are not counted by blob, because that takes time; turn it on with "
                "Server(count_digests=True) or @pytest.mark.rpw(count_digests=True)"
            )
        return self._copied(lambda: self._digests, replace)

    @property
    def duplicate_uploads(self) -> int:
        """Uploads of blobs that were stored already.

        Raises:
            ConfigError: when the server does not count them.
        """
        return sum(count.duplicate_uploads for count in self.digests.values())

    def begin(self, name: str, *, invocation: str, target: str) -> None:
        """Count a call that begins, for an invocation and a target (RequestMetadata)."""
        invocation, target = invocation[:_LONGEST_NAME], target[:_LONGEST_NAME]
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

    def end(self, name: str, *, bytes_in: int, bytes_out: int, failure: str) -> None:
        """Count the end of a call, with the status ``failure``; empty for OK."""
        with self._lock:
            count = self._methods[name]
            count.open -= 1
            self._open -= 1
            count.bytes_in += bytes_in
            count.bytes_out += bytes_out
            if failure:
                count.failures[failure] += 1

    def note(self, digest: str, change: Callable[[DigestCount], None]) -> None:
        """Change the counters of a blob, ``hash/size``, by calling ``change``."""
        with self._lock:
            change(_entry(self._digests, digest[:_LONGEST_NAME], DigestCount, _MOST_DIGESTS))

    def _copied(
        self, table: Callable[[], Mapping[str, _V]], copy: Callable[[_V], _V]
    ) -> dict[str, _V]:
        with self._lock:
            return {key: copy(value) for key, value in table().items()}


def _entry(table: OrderedDict[str, _V], key: str, make: Callable[[], _V], most: int) -> _V:
    """Return the entry of a key, made if needed; beyond ``most`` entries the oldest is forgotten."""
    entry = table.get(key)
    if entry is None:
        entry = table[key] = make()
        if len(table) > most:
            table.popitem(last=False)
    return entry
