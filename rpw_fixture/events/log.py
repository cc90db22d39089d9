"""The log of a server: what it observed, in order, the newest records of it.

What can be observed is told in events.py. That is not loaded here: to make all those classes takes a
tenth of a server's start, and before the first action there is nothing to record.
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


class EventLog(Sequence["Event"]):
    """An append-only log that keeps the newest ``limit`` records.

    It behaves as a sequence of the records it still holds. All methods may be called from any thread.

    Args:
        limit: how many records are kept.
        clock: seconds since the epoch.
    """

    def __init__(self, *, limit: int = 100_000, clock: Callable[[], float] = time.time) -> None:
        self._records: deque[Event] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._next = 1
        self._clock = clock
        self._sinks: tuple[tuple[Callable[[Event], object], Callable[[Event], None]], ...] = ()
        self._waiters = 0

    def append(self, record: E) -> E:
        """Stamps the record with its number and the time, keeps it, and tells the sinks."""
        with self._changed:
            object.__setattr__(record, "seq", self._next)
            object.__setattr__(record, "time", self._clock())
            self._next += 1
            self._records.append(record)
            for _, sink in self._sinks:
                sink(record)
            if self._waiters:
                self._changed.notify_all()
        return record

    def append_bug(self, where: str, error: Exception) -> None:
        """Records an `InternalError` with the traceback of an exception that nobody foresaw."""
        from rpw_fixture.events.kinds import InternalError  # noqa: PLC0415 - see the top

        detail = "".join(traceback.format_exception(error))
        self.append(InternalError(where=where, detail=detail))

    def add_sink(self, sink: Callable[[Event], object]) -> None:
        """Has ``sink`` called with every later record, in order, under the log's lock.

        What it raises is logged, and reaches nobody who appends.
        """
        with self._changed:
            self._sinks = (*self._sinks, (sink, harmless("a sink of the event log", sink)))

    def remove_sink(self, sink: Callable[[Event], object]) -> None:
        """Has ``sink`` called no more."""
        with self._changed:
            self._sinks = tuple(each for each in self._sinks if each[0] != sink)

    def clear(self) -> None:
        """Forgets all records; numbers go on."""
        with self._changed:
            self._records.clear()

    def of(self, kind: type[E]) -> list[E]:
        """The records of one kind, oldest first."""
        return [record for record in self.snapshot() if isinstance(record, kind)]

    def snapshot(self) -> list[Event]:
        """The records held now, oldest first."""
        with self._changed:
            return list(self._records)

    def wait_for(self, condition: Callable[[list[Event]], bool], timeout: float = 10.0) -> bool:
        """Waits until ``condition`` holds of the records; False when ``timeout`` seconds passed."""
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
