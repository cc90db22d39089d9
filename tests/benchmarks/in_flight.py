"""Warm worker actions with many in flight: throughput, told as the time of a whole round of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median
from .workload import Ready, changed, check, upload, worker_action

_IN_FLIGHT = (8, 64)
_WARM_UP = 1


def figures(effort: Effort) -> Iterator[Figure]:
    """Rounds of as many actions as no-op streams, for each number in flight."""
    rounds = effort.pick(smoke=1, quick=5, full=15)
    size = effort.pick(smoke=4, quick=128, full=256)
    total = (rounds + _WARM_UP) * size
    with pair() as servers:
        for index, in_flight in enumerate(_IN_FLIGHT):
            actions = changed(worker_action(), total + 1, start=index * (total + 1))
            ready = upload(servers.client, actions)
            servers.learn(ready.pop())
            ours, bare = _measure(servers, ready, in_flight, rounds)
            yield Figure(
                name=f"{size} warm actions, {in_flight} in flight",
                ours=ours,
                floor=bare,
                floor_name=f"{size} no-op Execute streams, {in_flight} in flight",
                target=1.8,
                samples=rounds,
            )


def _measure(
    servers: Pair, actions: Sequence[Ready], in_flight: int, rounds: int
) -> tuple[float, float]:
    """Medians of a round of actions and one of no-ops."""
    size = len(actions) // (rounds + _WARM_UP)
    answers: list[list[bytes]] = []
    with ThreadPoolExecutor(in_flight) as threads:

        def run(call: Callable[[Ready], list[bytes]], number: int) -> list[list[bytes]]:
            return list(threads.map(call, actions[number * size :][:size]))

        ours, bare = interleaved(
            rounds,
            lambda number: answers.extend(run(servers.execute, number)),
            lambda number: run(servers.no_op, number),
            warm_up=_WARM_UP,
        )
    check(answers)
    return median(ours), median(bare)
