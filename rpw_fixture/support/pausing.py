"""Streams that pause: a generator yields a `Pause` where it would block, and is resumed later.

A paused generator needs no thread. It waits for a `Signal`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")
#: The longest wait of a thread before it checks again, seconds.
_POLL = 1.0


class Signal:
    """A repeated event that calls its listeners back.

    The count of past events avoids a missed event: read `count`, inspect the state, then listen with
    that count.
    """

    __slots__ = ("_callbacks", "_lock", "count")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: set[Callable[[], object]] = set()
        self.count = 0

    def notify(self) -> None:
        """Call all listeners once, in this thread; they must not raise."""
        with self._lock:
            self.count += 1
            if not self._callbacks:
                return
            callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def listen(self, callback: Callable[[], object], count: int) -> bool:
        """Call ``callback`` at the next event; return False if one happened after ``count`` was read."""
        with self._lock:
            if count != self.count:
                return False
            self._callbacks.add(callback)
            return True

    def forget(self, callback: Callable[[], object]) -> None:
        """Remove a listener; an unknown one is ignored."""
        with self._lock:
            self._callbacks.discard(callback)


class Pause(NamedTuple):
    """A request of a generator to be resumed at the next event, or after some time.

    It may also be resumed without a reason, so it must inspect its state again.

    Attributes:
        seconds: the longest pause; None for no limit.
        signal: the event that resumes it.
        seen: count of the signal, read before the state was inspected.
    """

    seconds: float | None
    signal: Signal
    seen: int

    def wait(self) -> None:
        """Wait in this thread for the event, but no longer than the pause or about a second."""
        happened = threading.Event()
        if self.signal.listen(happened.set, self.seen):
            try:
                happened.wait(_POLL if self.seconds is None else min(self.seconds, _POLL))
            finally:
                self.signal.forget(happened.set)


def blocking(
    items: Iterable[T | Pause], is_wanted: Callable[[], bool] = lambda: True
) -> Iterator[T]:
    """Iterate over a pausing generator in a thread that waits at every pause.

    Args:
        items: the generator.
        is_wanted: called about once a second; the iteration ends when it returns False.
    """
    for item in items:
        if not isinstance(item, Pause):
            yield item
        elif is_wanted():
            item.wait()
        else:
            return
