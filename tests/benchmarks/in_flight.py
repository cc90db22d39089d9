"""Warm worker actions with many in flight: throughput, told as the time of a whole round of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from .figures import Effort, Figure
from .pair import pair
from .sampling import interleaved, median
from .workload import Ready, changed, check, upload, worker_action

_IN_FLIGHT = (8, 64)
_WARM_UP = 1


def figures(effort: Effort) -> Iterator[Figure]:
    """Rounds of as many actions as no-op streams, for each number in flight."""
    rounds = effort.pick(smoke=1, quick=5, full=15)
    size = effort.pick(smoke=4, quick=128, full=256)
    with pair() as servers:
        total = (rounds + _WARM_UP) * size
        for index, in_flight in enumerate(_IN_FLIGHT):
            actions = changed(worker_action(), total, start=index * total)
            ready = upload(servers.client, actions)
            servers.learn(upload(servers.client, changed(worker_action(), 1, start=-index - 1))[0])
            answers: list[list[bytes]] = []

            def in_round(number: int, ready: list[Ready] = ready) -> list[Ready]:
                return ready[number * size :][:size]

            with ThreadPoolExecutor(in_flight) as threads:

                def run(call: Callable[[Ready], list[bytes]], number: int) -> list[list[bytes]]:
                    return list(threads.map(call, in_round(number)))  # noqa: B023 - used in here

                ours, bare = interleaved(
                    rounds,
                    lambda number: answers.extend(run(servers.execute, number)),  # noqa: B023
                    lambda number: run(servers.no_op, number),  # noqa: B023
                    warm_up=_WARM_UP,
                )
            check(answers)
            yield Figure(
                name=f"{size} warm actions, {in_flight} in flight",
                ours=median(ours),
                floor=median(bare),
                floor_name=f"{size} no-op Execute streams, {in_flight} in flight",
                target=1.8,
                samples=rounds,
            )
