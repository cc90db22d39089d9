"""Streams that pause: a generator yields a `Pause` where it would block, and is resumed later.

A paused generator needs no thread. What it waits for is a `Signal`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar

T = TypeVar("T")
#: The longest wait of a thread before it looks again, seconds.
_POLL = 1.0


class Signal:
    """Something that happens again and again, and calls back those who listen.

    The count of past events closes the gap between looking and listening: read `count`, look at the
    state, then listen with that count.
    """

    __slots__ = ("_callbacks", "_lock", "count")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: set[Callable[[], object]] = set()
        self.count = 0

    def notify(self) -> None:
        """Call back all listeners once, in this thread; they must not raise."""
        with self._lock:
            self.count += 1
            if not self._callbacks:
                return
            callbacks, self._callbacks = self._callbacks, set()
        for callback in callbacks:
            callback()

    def listen(self, callback: Callable[[], object], count: int) -> bool:
        """Register ``callback`` for the next event; False if one came after ``count`` was read."""
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
    """What a generator yields to be resumed at the next event, or after some time.

    It may be resumed for no reason as well, so it has to look at its state again.

    Attributes:
        seconds: after which it is resumed at the latest; None for no limit.
        signal: resumes it.
        seen: count of the signal, read before the state was looked at.
    """

    seconds: float | None
    signal: Signal
    seen: int


def blocking(
    items: Iterable[T | Pause], is_wanted: Callable[[], bool] = lambda: True
) -> Iterator[T]:
    """Iterate over a pausing generator in a thread that waits at every pause.

    Args:
        items: what the generator yields.
        is_wanted: asked about once a second; the iteration ends when it says no.
    """
    for item in items:
        if not isinstance(item, Pause):
            yield item
        elif is_wanted():
            _wait(item)
        else:
            return


def _wait(pause: Pause) -> None:
    happened = threading.Event()
    if pause.signal.listen(happened.set, pause.seen):
        try:
            happened.wait(_POLL if pause.seconds is None else min(pause.seconds, _POLL))
        finally:
            pause.signal.forget(happened.set)
