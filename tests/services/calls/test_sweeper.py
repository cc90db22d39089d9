"""The thread that looks at open calls."""

from __future__ import annotations

import threading

from rpw_fixture.services.calls.sweeper import Sweeper, Swept

FOREVER = 30.0


class ClosesItsSweeper(Swept):
    """Has its sweeper closed while it is looked at, which is the last thing that there is to do."""

    def __init__(self, sweeper: Sweeper) -> None:
        self.closing = threading.Thread(target=sweeper.close, daemon=True)
        self._sweeper = sweeper

    def sweep(self, now: float) -> bool:
        self.closing.start()
        self._sweeper._is_closed.wait(FOREVER)
        self.closing.join(0.2)  # it waits for this thread, after it has said that there is work
        return False


def test_a_sweeper_can_be_closed_while_it_runs_out_of_work() -> None:
    sweeper = Sweeper()
    last = ClosesItsSweeper(sweeper)
    sweeper.add(last)
    assert sweeper._is_closed.wait(FOREVER)
    last.closing.join(5)
    is_hanging = last.closing.is_alive()
    sweeper._has_work.set()  # let it end in any case
    last.closing.join(FOREVER)
    assert not is_hanging
