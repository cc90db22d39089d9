"""The event log of a server: the newest records, in order.

The kinds of records are in kinds.py, which is not loaded here: creating its classes takes a tenth of a
server's start time, and there is nothing to record before the first action.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar, overload

from rpw_fixture.support.harmless import harmless

if TYPE_CHECKING:
    from rpw_fixture.events.kinds import Event

E = TypeVar("E", bound="Event")
#: Memory that the records of a log may take, about: those of 10,000 warm actions with one output each.
_MOST_BYTES = 16 << 20


class EventLog(Sequence["Event"]):
    """An append-only log that keeps the newest records.

    It is a sequence of the records that it still holds. Thread-safe.

    Args:
        max_bytes: memory that the records may take, about; the newest one is kept even if it takes more.
        clock: returns seconds since the epoch.
    """

    def __init__(
        self, *, max_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._records: deque[Event] = deque()
        self._max_bytes = max_bytes
        self._used = 0
        # Reentrant, because a sink may read the log. Entering the lock itself takes a third of the time
        # of entering its condition.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._next = 1
        self._clock = clock
        self._sinks: tuple[tuple[Callable[[Event], object], Callable[[Event], None]], ...] = ()
        self._waiters = 0

    def append(self, record: E) -> E:
        """Set the record's number and time, keep it, and pass it to the sinks."""
        with self._lock:
            object.__setattr__(record, "seq", self._next)
            object.__setattr__(record, "time", self._clock())
            self._next += 1
            self._records.append(record)
            self._used += record.held_bytes()
            while self._used > self._max_bytes and len(self._records) > 1:
                self._used -= self._records.popleft().held_bytes()
            for _, sink in self._sinks:
                sink(record)
            if self._waiters:
                self._changed.notify_all()
        return record

    def append_bug(self, where: str, error: Exception) -> None:
        """Record an `InternalError` with the traceback of an unexpected exception."""
        from rpw_fixture.events.kinds import InternalError  # noqa: PLC0415 - see the top

        detail = "".join(traceback.format_exception(error))
        self.append(InternalError(where=where, detail=detail))

    def add_sink(self, sink: Callable[[Event], object]) -> None:
        """Call ``sink`` with every later record, in order, under the log's lock.

        What it raises is logged, and never reaches the code that appends.
        """
        with self._changed:
            self._sinks = (*self._sinks, (sink, harmless("a sink of the event log", sink)))

    def remove_sink(self, sink: Callable[[Event], object]) -> None:
        """Stop calling ``sink``."""
        with self._changed:
            self._sinks = tuple(each for each in self._sinks if each[0] != sink)

    def clear(self) -> None:
        """Forget all records; numbering continues."""
        with self._changed:
            self._records.clear()
            self._used = 0

    def of(self, kind: type[E]) -> list[E]:
        """Return the records of one kind, oldest first."""
        return [record for record in self.snapshot() if isinstance(record, kind)]

    def snapshot(self) -> list[Event]:
        """Return the records held now, oldest first."""
        with self._changed:
            return list(self._records)

    def since(self, seq: int) -> list[Event]:
        """Return the records after number ``seq`` that are still held, oldest first.

        Takes time for these only, so that a reader can follow a long log.
        """
        found: list[Event] = []
        with self._changed:
            for record in reversed(self._records):
                if record.seq <= seq:
                    break
                found.append(record)
        found.reverse()
        return found

    def wait_for(self, condition: Callable[[list[Event]], bool], timeout: float = 10.0) -> bool:
        """Wait until ``condition`` holds for the records; return False after ``timeout`` seconds."""
        with self._changed:
            self._waiters += 1
            try:
                return self._changed.wait_for(lambda: condition(list(self._records)), timeout)
            finally:
                self._waiters -= 1

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        return self.snapshot()[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.snapshot())
