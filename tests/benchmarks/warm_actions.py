"""Warm worker actions through Execute, one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .figures import Effort, Figure
from .pair import Pair, pair
from .sampling import interleaved, median, median_sum
from .worker_pipe import worker_pipe
from .workload import Ready, changed, check, upload, worker_action

_FEW, _MANY = 20, 2000
_WARM_UP = 5
_NO_OP = "no-op Execute stream + pipe round trip to the same worker"


@dataclass(slots=True)
class _Runner:
    """Runs one action after the other and keeps the answers."""

    pair: Pair
    actions: list[Ready]
    answers: list[list[bytes]]

    def __call__(self, number: int) -> None:
        self.answers.append(self.pair.execute(self.actions[number]))


def figures(effort: Effort) -> Iterator[Figure]:
    """Few inputs, many inputs, and JSON, all in the same rounds."""
    rounds = effort.pick(smoke=1, quick=60, full=400)
    few, json = worker_action(files=_FEW), worker_action(files=_FEW, protocol="json")
    many = worker_action(files=effort.pick(smoke=40, quick=_MANY, full=_MANY))
    with pair() as servers, worker_pipe(few) as pipe, worker_pipe(many) as long_pipe:
        runners = []
        for action in (few, many, json):
            ready = upload(servers.client, changed(action, rounds + _WARM_UP + 1))
            servers.learn(ready.pop())
            runners.append(_Runner(servers, ready, []))
        sample = runners[0].actions[0]
        no_op, piped, long_piped, *ours = interleaved(
            rounds,
            lambda _: servers.no_op(sample),
            pipe.round_trip,
            long_pipe.round_trip,
            *runners,
            warm_up=_WARM_UP,
        )
    for runner in runners:
        check(runner.answers)
    plain, large, in_json = map(median, ours)
    yield Figure(
        name=f"warm action, {_FEW} inputs, one changed",
        ours=plain,
        floor=median_sum(no_op, piped),
        floor_name=_NO_OP,
        target=1.5,
        samples=rounds,
    )
    yield Figure(
        name=f"warm action, {_MANY} inputs, one changed",
        ours=large,
        floor=plain,
        floor_name=f"the same with {_FEW} inputs",
        target=1.2,
        samples=rounds,
    )
    yield Figure(
        name=f"warm action, {_MANY} inputs, beside its own pipe",
        ours=large,
        floor=median_sum(no_op, long_piped),
        floor_name=f"{_NO_OP}, {_MANY} inputs listed",
        samples=rounds,
    )
    yield Figure(
        name="warm action, JSON worker",
        ours=in_json,
        floor=plain,
        floor_name="the same with a proto worker",
        target=1.1,
        samples=rounds,
    )
