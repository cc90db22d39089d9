"""One server for a long day: is the last action as fast as the first, and where did memory go?"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median
from .workload import Ready, changed, check, upload, worker_action

_FILLERS = 8
_PORTION = 500


def figures(effort: Effort) -> Iterator[Figure]:
    """Latency and memory around an early action and around a late one."""
    early = effort.pick(smoke=3, quick=300, full=1000)
    late = effort.pick(smoke=9, quick=5000, full=50_000)
    window = effort.pick(smoke=2, quick=150, full=500)
    with pair() as servers:
        actions = _Supply(servers)
        servers.learn(*actions.take(1))
        _fill(servers, actions, early - window - 1)
        before = servers.server.resident_mib
        first, first_floor = _measure(servers, actions, window)
        _fill(servers, actions, late - early - window)
        last, last_floor = _measure(servers, actions, window)
        after = servers.server.resident_mib
    yield Figure(
        name=f"latency at action {late}",
        ours=last,
        floor=first,
        floor_name=f"at action {early}; no-op streams then and now "
        f"{first_floor:.2f} and {last_floor:.2f} ms",
        target=1.1,
        samples=window,
    )
    yield Figure(
        name=f"memory growth from action {early} to {late}",
        ours=after - before,
        unit="MiB",
        target=100,
    )


class _Supply:
    """Uploads actions as they are wanted, each one new."""

    def __init__(self, servers: Pair) -> None:
        self._client = servers.client
        self._numbers = itertools.count()
        self._action = worker_action()

    def take(self, count: int) -> list[Ready]:
        """That many."""
        numbers = list(itertools.islice(self._numbers, count))
        return upload(self._client, changed(self._action, count, start=numbers[0]))


def _fill(servers: Pair, actions: _Supply, count: int) -> None:
    with ThreadPoolExecutor(_FILLERS) as threads:
        for start in range(0, count, _PORTION):
            portion = actions.take(min(_PORTION, count - start))
            check(list(threads.map(servers.execute, portion)))


def _measure(servers: Pair, actions: _Supply, count: int) -> tuple[float, float]:
    """Medians of an action and of a no-op stream."""
    ready = actions.take(count)
    answers: list[list[bytes]] = []
    ours, bare = interleaved(
        count,
        lambda number: answers.append(servers.execute(ready[number])),
        lambda number: servers.no_op(ready[number]),
        warm_up=0,
    )
    check(answers)
    return median(ours), median(bare)
