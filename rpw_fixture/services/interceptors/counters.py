"""Counts what clients ask for, so that tests can assert it: calls, bytes, blobs, who asked.

What happens to actions and workers is told by events, not here; services/counting.py looks at the
calls. Everything counted is bounded: of invocations, targets and blobs the oldest are forgotten
beyond a limit.
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


class Counters:
    """The counters of a server. All methods may be called from any thread.

    RPCs are named as in ``Execute`` or ``Read``. Health checks and calls that carry no valid token
    are not counted.

    Args:
        counts_digests: look into requests for the blobs they name. That takes time in proportion to
            their number, which is why nobody pays for it unasked: FindMissingBlobs may name 10,000.
    """

    def __init__(self, *, counts_digests: bool = False) -> None:
        self.counts_digests = counts_digests
        self._lock = threading.Lock()
        self._methods = {name.partition(".")[2]: MethodCount() for name in SERVED}
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
        if not self.counts_digests:
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

    def begin(self, name: str, *, invocation: str, target: str) -> None:
        """A call of the RPC ``name`` begins, for whom RequestMetadata says."""
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
        """That call has ended, with the status ``failure`` unless that is empty."""
        with self._lock:
            count = self._methods[name]
            count.open -= 1
            self._open -= 1
            count.bytes_in += bytes_in
            count.bytes_out += bytes_out
            if failure:
                count.failures[failure] += 1

    def note(self, digest: str, change: Callable[[DigestCount], None]) -> None:
        """Something was asked of a blob, named as ``hash/size``."""
        with self._lock:
            change(_entry(self._digests, digest[:_LONGEST_NAME], DigestCount, _MOST_DIGESTS))

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
