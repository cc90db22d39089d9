"""Signals and pauses: nothing that happens between looking and listening is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from rpw_fixture.support.pausing import Pause, Signal, blocking


def test_a_listener_is_called_once() -> None:
    signal, calls = Signal(), []
    assert signal.listen(lambda: calls.append(1), signal.count)
    signal.notify()
    signal.notify()
    assert calls == [1]


def test_a_late_listener_learns_that_it_is_late() -> None:
    signal, calls = Signal(), []
    seen = signal.count
    signal.notify()
    assert not signal.listen(lambda: calls.append(1), seen)
    signal.notify()
    assert calls == []


def test_a_forgotten_listener_is_not_called() -> None:
    signal, calls = Signal(), []
    callback = calls.clear
    signal.listen(callback, signal.count)
    signal.forget(callback)
    signal.forget(callback)
    calls.append(1)
    signal.notify()
    assert calls == [1]


def test_a_thread_waits_at_a_pause_until_the_signal() -> None:
    signal, state = Signal(), ["first"]

    def items() -> Iterator[str | Pause]:
        while True:
            seen = signal.count
            if state:
                yield state.pop()
            else:
                yield Pause(None, signal, seen)

    stream = blocking(items())
    assert next(stream) == "first"
    timer = threading.Timer(0.05, lambda: (state.append("second"), signal.notify()))
    timer.start()
    assert next(stream) == "second"
    timer.join()


def test_a_pause_ends_after_its_time_and_with_the_wish_for_more() -> None:
    signal = Signal()

    def items() -> Iterator[str | Pause]:
        yield Pause(0.001, signal, signal.count)
        yield "after the pause"
        yield Pause(None, signal, signal.count)
        yield "never"

    assert list(blocking(items(), is_wanted=iter([True, False]).__next__)) == ["after the pause"]
